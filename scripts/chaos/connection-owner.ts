import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Which of these processes has the local end of a TCP connection on loopback, by its port; undefined where
 * none has, or where the system has no /proc. So one proxy can tell apart who comes through it.
 */
export function ownerOf(port: number, pids: readonly (number | undefined)[]): number | undefined {
  try {
    const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    const line = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .find((one) => one.trim().split(/\s+/)[1] === local);
    const inode = line?.trim().split(/\s+/)[9];
    if (inode === undefined) return undefined;
    const found = pids.findIndex((pid) => pid !== undefined && has(pid, `socket:[${inode}]`));
    return found < 0 ? undefined : found;
  } catch {
    return undefined;
  }
}

function has(pid: number, link: string): boolean {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).some((name) => {
    try {
      return readlinkSync(`${folder}/${name}`) === link;
    } catch {
      // It was closed meanwhile.
      return false;
    }
  });
}
