import { once } from 'node:events';
import type { ExecutionContext } from 'ava';
import { WebSocket, type RawData } from 'ws';

/** A socket without manners: sends what it is told and remembers what it got. */
export class RawSocket {
  readonly ws: WebSocket;
  readonly frames: Buffer[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;

  constructor(url: string, options: object = {}) {
    this.ws = new WebSocket(url, options);
    this.ws.on('message', (data: RawData) => this.frames.push(data as Buffer));
    this.ws.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }));
    this.ws.on('error', () => {});
  }

  json(): unknown[] {
    return this.frames.map((frame) => JSON.parse(frame.toString()));
  }
}

export async function openRaw(t: ExecutionContext, url: string): Promise<RawSocket> {
  const raw = new RawSocket(url);
  t.teardown(() => raw.ws.terminate());
  await once(raw.ws, 'open');
  return raw;
}
