import { WebSocket, type RawData } from 'ws';
import type { Runtime, Timer } from '../runtime/port.ts';

export interface ProbeSocketOptions {
  readonly url: string;
  /** The first frame: what tells the gateway that this is its own node. */
  readonly secret: string;
  /** Under which host name the gateway takes connections. */
  readonly host?: string | undefined;
  /** Whether the port takes connections now: what it would refuse is not tried, nor counted as refused. */
  readonly isTaken: () => boolean;
  readonly runtime: Runtime;
  readonly onProbe: (text: string) => void;
}

const AGAIN_MS = 500;
/** More often than any idle limit, which is at least 8 s. */
const ALIVE_MS = 3_000;
const HANDSHAKE_MS = 5_000;

/** The node as a client of its own port: a real socket, so that a probe takes every step of a message. */
export class ProbeSocket {
  readonly #options: ProbeSocketOptions;
  #socket: WebSocket | undefined;
  #alive: Timer | undefined;
  #stopped = false;

  constructor(options: ProbeSocketOptions) {
    this.#options = options;
    this.#open();
  }

  stop(): void {
    this.#stopped = true;
    this.#alive?.cancel();
    this.#socket?.terminate();
  }

  #open(): void {
    if (this.#stopped) return;
    const { url, secret, host, isTaken, runtime } = this.#options;
    if (!isTaken()) {
      runtime.timers.after(AGAIN_MS, () => this.#open());
      return;
    }
    const headers = host === undefined ? {} : { host };
    const socket = new WebSocket(url, {
      ...{ headers, handshakeTimeout: HANDSHAKE_MS },
      // Its own port, that nobody else can have bound: see clientUrl.
      rejectUnauthorized: false,
    });
    this.#socket = socket;
    socket.on('open', () => {
      socket.send(secret);
      this.#stayAlive(socket);
    });
    socket.on('message', (data: RawData) => this.#received((data as Buffer).toString()));
    // What went wrong shows in that no probe arrives.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#alive?.cancel();
      runtime.timers.after(AGAIN_MS, () => this.#open());
    });
  }

  #stayAlive(socket: WebSocket): void {
    this.#alive = this.#options.runtime.timers.after(ALIVE_MS, () => {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.send('alive');
      this.#stayAlive(socket);
    });
  }

  #received(text: string): void {
    let frame: { method?: string; params?: { payload?: string } };
    try {
      frame = JSON.parse(text) as typeof frame;
    } catch {
      return;
    }
    const payload = frame.method === 'recv' ? frame.params?.payload : undefined;
    if (payload !== undefined) {
      this.#options.onProbe(Buffer.from(payload, 'base64').toString());
    }
  }
}
