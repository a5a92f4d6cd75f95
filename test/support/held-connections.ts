import { readFileSync } from 'node:fs';

const LISTENS = '0A';

/**
 * Connections to a port of IPv4 that a process still holds; those that only the system has are none.
 * Linux only.
 */
export function held(port: number): number {
  const lines = readFileSync('/proc/self/net/tcp', 'utf8').trim().split('\n').slice(1);
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return lines.filter((line) => {
    const fields = line.trim().split(/\s+/);
    const [, address = '', , state] = fields;
    return address.endsWith(local) && state !== LISTENS && fields[9] !== '0';
  }).length;
}
