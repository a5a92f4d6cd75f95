import { WebSocket, type RawData } from 'ws';

export interface Recv {
  readonly header?: {
    readonly noPersist: boolean;
    readonly redDot: boolean;
    readonly syncOnce: boolean;
  };
  readonly messageId: string;
  readonly messageSeq: number;
  readonly clientMsgNo: string;
  readonly timestamp: number;
  readonly channelId: string;
  readonly channelType: number;
  readonly fromUid: string;
  readonly payload: string;
  readonly topic?: string;
  readonly expire?: number;
  readonly prevSeq: number;
}

export interface Reply {
  readonly id: string | null;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: number; readonly message: string };
}

export interface Event {
  readonly id: string;
  readonly type: string;
  readonly timestamp: number;
  readonly data: string;
}

export interface SubscriptionReply {
  readonly subNo: string;
  readonly channelId: string;
  readonly channelType: number;
  readonly action: number;
  readonly reasonCode: number;
  readonly receipt?: string;
  readonly reached?: string;
  readonly missing?: readonly string[];
  readonly message?: string;
}

export interface SendReply {
  readonly messageId: string;
  readonly messageSeq: number;
  readonly reasonCode: number;
  readonly disks?: number;
  readonly message?: string;
}

export interface EasyClientOptions {
  /** ws://host:port, asked at every connection attempt. */
  readonly url: string | (() => string);
  readonly uid: string;
  readonly token?: string;
  /** Of a wss:// address: the authority to trust, PEM. */
  readonly ca?: string;
  readonly deviceFlag?: number;
  readonly deviceId?: string;
  /** After 1, 2, 4, 8 and 16 s, then never again; not after a `disconnect` notification. */
  readonly reconnect?: boolean;
  /** Default: 25 s. */
  readonly pingMs?: number;
}

const RECONNECT_AFTER_SECONDS = [1, 2, 4, 8, 16];
const REPLY_WITHIN_MS = 10_000;

/** Sends exactly the frames of a WuKongEasySDK, acknowledges every recv, and remembers all it got. */
export class EasyClient {
  readonly received: Recv[] = [];
  readonly events: Event[] = [];
  /** Replies nobody asked for, such as errors without an id. */
  readonly strays: Reply[] = [];
  readonly disconnects: { readonly reasonCode: number; readonly reason: string }[] = [];
  readonly closes: { readonly code: number; readonly reason: string }[] = [];
  connected = false;
  connects = 0;
  readonly #options: EasyClientOptions;
  readonly #waiting = new Map<string, (reply: Reply) => void>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #ws: WebSocket | undefined;
  #lastId = 0;
  #stopped = false;
  #failures = 0;

  constructor(options: EasyClientOptions) {
    this.#options = options;
  }

  get uid(): string {
    return this.#options.uid;
  }

  get ws(): WebSocket | undefined {
    return this.#ws;
  }

  /** Resolves with the result of connect; throws its error. */
  async connect(): Promise<Readonly<Record<string, unknown>>> {
    this.#stopped = false;
    await this.#open();
    const { uid, token = '', deviceId = 'device', deviceFlag = 1 } = this.#options;
    const clientTimestamp = Date.now();
    const params = { uid, token, deviceId, deviceFlag, clientTimestamp };
    const reply = await this.request('connect', params);
    if (!reply.result) throw Object.assign(new Error(reply.error?.message), { reply });
    this.connected = true;
    this.connects += 1;
    this.#failures = 0;
    this.#every(this.#options.pingMs ?? 25_000, () => void this.ping().catch(() => {}));
    return reply.result;
  }

  /** `more` adds fields to the frame, or replaces them. */
  async send(
    channelId: string,
    channelType: number,
    ...[payload, more = {}]: readonly [string, Readonly<Record<string, unknown>>?]
  ): Promise<SendReply> {
    const clientMsgNo = `${this.uid}-${++this.#lastId}`;
    const base64 = Buffer.from(payload).toString('base64');
    const header = { noPersist: false, redDot: true, syncOnce: false };
    const params = { clientMsgNo, channelId, channelType, payload: base64, header, ...more };
    return this.#result('send', params);
  }

  subscribe(channelId: string, channelType = 2): Promise<SubscriptionReply> {
    const params = { subNo: `s${++this.#lastId}`, channelId, channelType };
    return this.#result('subscribe', params);
  }

  unsubscribe(channelId: string, channelType = 2, receipt?: string): Promise<SubscriptionReply> {
    const params = { subNo: `s${++this.#lastId}`, channelId, channelType };
    const more = receipt === undefined ? {} : { receipt };
    return this.#result('unsubscribe', { ...params, ...more });
  }

  ping(): Promise<Reply> {
    return this.request('ping', {});
  }

  /** The payloads received so far, as text; of one channel where it is given. */
  texts(channelId?: string): string[] {
    return this.received
      .filter((recv) => channelId === undefined || recv.channelId === channelId)
      .map((recv) => Buffer.from(recv.payload, 'base64').toString());
  }

  request(method: string, params: unknown): Promise<Reply> {
    const id = String(++this.#lastId);
    return new Promise((resolve, reject) => {
      const timer = this.#after(REPLY_WITHIN_MS, () => {
        this.#waiting.delete(id);
        reject(new Error(`${this.uid}: no reply to ${method} within ${REPLY_WITHIN_MS} ms`));
      });
      this.#waiting.set(id, (reply) => {
        this.#cancel(timer);
        this.#waiting.delete(id);
        resolve(reply);
      });
      this.raw(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  }

  raw(frame: string | Buffer): void {
    if (this.#ws?.readyState === WebSocket.OPEN) this.#ws.send(frame);
  }

  /** As the SDK: a notification, then it closes. */
  disconnect(): void {
    this.#stopped = true;
    const params = { reasonCode: 0, reason: 'bye' };
    this.raw(JSON.stringify({ jsonrpc: '2.0', method: 'disconnect', params }));
    this.#ws?.close();
    this.#clear();
  }

  /** Tears the connection without a word; it reconnects where it may. */
  tear(): void {
    this.#ws?.terminate();
  }

  /** For the end of a test. */
  stop(): void {
    this.#stopped = true;
    this.#clear();
    this.#ws?.terminate();
  }

  async #result<Result>(method: string, params: unknown): Promise<Result> {
    const reply = await this.request(method, params);
    if (!reply.result) throw Object.assign(new Error(reply.error?.message), { reply });
    return reply.result as Result;
  }

  #open(): Promise<void> {
    const { url, ca } = this.#options;
    const address = typeof url === 'string' ? url : url();
    const ws = new WebSocket(address, ca === undefined ? {} : { ca });
    this.#ws = ws;
    ws.on('message', (data: RawData) => this.#received((data as Buffer).toString()));
    ws.on('close', (code, reason) => this.#closed(code, reason.toString()));
    return new Promise((resolve, reject) => {
      ws.once('open', resolve);
      ws.on('error', reject);
    });
  }

  #received(text: string): void {
    const frame = JSON.parse(text) as { method?: string; params?: unknown } & Reply;
    if (frame.method === 'recv') {
      const recv = frame.params as Recv;
      this.received.push(recv);
      const { messageId, messageSeq } = recv;
      const params = { messageId, messageSeq };
      this.raw(JSON.stringify({ jsonrpc: '2.0', method: 'recvack', params }));
    } else if (frame.method === 'event') {
      this.events.push(frame.params as Event);
    } else if (frame.method === 'disconnect') {
      this.disconnects.push(frame.params as { reasonCode: number; reason: string });
      this.#stopped = true;
    } else {
      const waiting = this.#waiting.get(frame.id ?? '');
      if (waiting) waiting(frame);
      else this.strays.push(frame);
    }
  }

  #closed(code: number, reason: string): void {
    this.closes.push({ code, reason });
    this.connected = false;
    this.#clear();
    const seconds = RECONNECT_AFTER_SECONDS[this.#failures];
    if (this.#stopped || !this.#options.reconnect || seconds === undefined) return;
    this.#failures += 1;
    this.#after(seconds * 1000, () => void this.connect().catch(() => {}));
  }

  #after(delayMs: number, task: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      task();
    }, delayMs);
    this.#timers.add(timer);
    return timer;
  }

  #every(delayMs: number, task: () => void): void {
    this.#after(delayMs, () => {
      task();
      this.#every(delayMs, task);
    });
  }

  #cancel(timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    this.#timers.delete(timer);
  }

  #clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const waiting of this.#waiting.values()) {
      waiting({ id: null, error: { code: -1, message: 'the connection closed' } });
    }
    this.#waiting.clear();
  }
}
