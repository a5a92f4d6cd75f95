import { createServer } from 'node:net';

export interface NamedPort {
  readonly host: string;
  readonly port: number;
  /** What it is for, as in `node-2 clients`. */
  readonly what: string;
}

/**
 * Throws with every port that is taken. Without this check a second cluster would take the first one's
 * nodes for its own, because they answer on the ports where it waits for them.
 */
export async function assertPortsFree(ports: readonly NamedPort[]): Promise<void> {
  const free = await Promise.all(ports.map(isFree));
  const taken = ports.filter((_, index) => !free[index]);
  if (taken.length === 0) return;
  const list = taken.map(({ host, port, what }) => `${host}:${port} (${what})`).join(', ');
  throw new Error(`in use by another process: ${list}; is another cluster running?`);
}

function isFree({ host, port }: NamedPort): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
