import { connect, type Socket } from 'node:net';

/**
 * A lean WebSocket client for load: it masks with the zero key and hands out each text frame's bytes
 * where they lie in the read buffer. Not a general client: no fragments, no extensions.
 */
export class LoadSocket {
  readonly #socket: Socket;
  readonly #onFrame: (frame: Buffer) => void;
  #rest: Buffer | undefined;
  #open = false;
  #out: Buffer[] = [];
  #flushing = false;
  closed = false;
  /** When its Close frame came, by `performance.now()`, and the code in it. */
  closeFrameMs: number | undefined;
  closeCode = 0;
  /** The connection is over, with or without a Close frame. */
  onEnd: (() => void) | undefined;

  private constructor(socket: Socket, onFrame: (frame: Buffer) => void) {
    this.#socket = socket;
    this.#onFrame = onFrame;
  }

  static open(port: number, onFrame: (frame: Buffer) => void): Promise<LoadSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true });
      const client = new LoadSocket(socket, onFrame);
      socket.once('error', reject);
      socket.once('close', () => {
        client.closed = true;
        client.onEnd?.();
      });
      socket.on('data', (chunk) => {
        if (client.#open) client.#read(chunk);
        else if (chunk.length >= 12 && !chunk.subarray(0, 12).includes(' 101')) {
          socket.destroy();
          reject(new Error(chunk.toString('latin1').split('\r\n')[0]));
        } else client.#handshake(chunk, () => resolve(client));
      });
      socket.write(
        `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
      );
    });
  }

  /** Frames of one tick leave in one write. */
  send(text: string): void {
    this.#out.push(frameOf(text));
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#socket.write(this.#out.length === 1 ? this.#out[0]! : Buffer.concat(this.#out));
      this.#out = [];
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The other side waits for the same code, and closes. */
  #closing(said: Buffer): void {
    this.closeFrameMs = performance.now();
    this.closeCode = said.length >= 2 ? said.readUInt16BE(0) : 1005;
    this.#socket.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, ...said.subarray(0, 2)]));
  }

  #handshake(chunk: Buffer, ready: () => void): void {
    const all = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    const end = all.indexOf('\r\n\r\n');
    if (end < 0) {
      this.#rest = all;
      return;
    }
    this.#rest = undefined;
    this.#open = true;
    ready();
    if (all.length > end + 4) this.#read(all.subarray(end + 4));
  }

  #read(chunk: Buffer): void {
    const all = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    let at = 0;
    for (;;) {
      if (at + 2 > all.length) break;
      let length = all[at + 1]! & 127;
      let head = 2;
      if (length === 126) {
        if (at + 4 > all.length) break;
        length = all.readUInt16BE(at + 2);
        head = 4;
      } else if (length === 127) {
        if (at + 10 > all.length) break;
        length = Number(all.readBigUInt64BE(at + 2));
        head = 10;
      }
      if (at + head + length > all.length) break;
      if ((all[at]! & 15) === 8) this.#closing(all.subarray(at + head, at + head + length));
      if ((all[at]! & 15) === 1) this.#onFrame(all.subarray(at + head, at + head + length));
      at += head + length;
    }
    this.#rest = at < all.length ? all.subarray(at) : undefined;
  }
}

function frameOf(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const head = length < 126 ? 6 : length < 65_536 ? 8 : 14;
  const frame = Buffer.alloc(head + length);
  frame[0] = 0x81;
  if (length < 126) frame[1] = 0x80 | length;
  else if (length < 65_536) {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 0x80 | 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.write(text, head);
  return frame;
}
