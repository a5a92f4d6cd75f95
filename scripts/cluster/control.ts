import { existsSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';

/**
 * How a second `npm run cluster` speaks to the running one: a Unix socket in the data folder (so that only
 * who may write there may speak), one JSON object in, one out.
 */
export interface ControlRequest {
  readonly action: string;
  readonly k?: number | undefined;
}

export type ControlReply =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly error: string };

const REQUEST_BYTES_MAX = 1_000;

/** Relative, because the system takes about 100 characters only. */
function socketPath(dataDir: string): string {
  return relative(process.cwd(), join(dataDir, 'control.sock')) || 'control.sock';
}

/** Rejects where another cluster runs on this folder. */
export async function serveControl(
  dataDir: string,
  act: (request: ControlRequest) => Promise<string>,
): Promise<Server> {
  const path = socketPath(dataDir);
  if (existsSync(path)) {
    const alive = await askControl(dataDir, { action: 'status' }).catch(() => undefined);
    if (alive) throw new Error(`a cluster runs already on ${dataDir}: stop it first`);
    rmSync(path);
  }
  const server = createServer((socket) => answer(socket, act));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return server;
}

function answer(socket: Socket, act: (request: ControlRequest) => Promise<string>): void {
  socket.on('error', () => socket.destroy());
  let received = '';
  let handled = false;
  socket.setEncoding('utf8').on('data', (text: string) => {
    received += text;
    if (received.length > REQUEST_BYTES_MAX) return void socket.destroy();
    if (handled || !received.includes('\n')) return;
    handled = true;
    const reply = (value: ControlReply): void => void socket.end(`${JSON.stringify(value)}\n`);
    Promise.resolve()
      .then(() => act(JSON.parse(received) as ControlRequest))
      .then(
        (done) => reply({ ok: true, text: done }),
        (error: unknown) => reply({ ok: false, error: (error as Error).message }),
      );
  });
}

/** Rejects where no cluster runs on the folder. */
export async function askControl(dataDir: string, request: ControlRequest): Promise<ControlReply> {
  const socket = connect(socketPath(dataDir));
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const line of createInterface({ input: socket })) {
      return JSON.parse(line) as ControlReply;
    }
    throw new Error('the cluster ended before it answered');
  } finally {
    socket.destroy();
  }
}
