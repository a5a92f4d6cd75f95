import { ChannelList, type ListedChannel } from './channel-list.ts';
import { Comparison } from './comparison.ts';
import { Connection, type Result } from './connection.ts';
import {
  ClientError,
  type ClientOptions,
  type ClientSocket,
  type ClientState,
  type ReceivedMessage,
} from './options.ts';

const AUTHENTICATION_FAILED = 2;
const SUCCESS = 1;

/**
 * A client of the JSON-RPC port, for browsers and Node. It comes back by itself, at the next address and
 * after a capped random wait, and with each ping it compares its channels with what the server says.
 */
export class HoldfastClient {
  readonly #options: ClientOptions;
  readonly #list = new ChannelList();
  readonly #comparison: Comparison;
  #connection: Connection | undefined;
  #state: ClientState = 'stopped';
  #attempt = 0;
  #failures = 0;
  #connectedMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#comparison = new Comparison({
      list: this.#list,
      request: (method, params) => this.#request(method, params),
      deliver: (message) => options.onMessage(message),
      onChannels: () => options.onChannels?.(this.channels()),
      onRepaired: (what) => options.onRepaired?.(what),
    });
  }

  get state(): ClientState {
    return this.#state;
  }

  channels(): readonly ListedChannel[] {
    return this.#list.all();
  }

  start(): void {
    if (this.#state === 'connecting' || this.#state === 'connected') return;
    this.#open();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#become('stopped', 'stop was called');
    this.#connection?.close('stop was called');
  }

  /** Rejects with a `ClientError`: the server's reason code, `closed` or `timeout`. */
  async subscribe(channelId: string, channelType: number): Promise<void> {
    await this.#asked('subscribe', { subNo: '', channelId, channelType });
    if (this.#list.head(channelId, channelType) === undefined) {
      this.#list.set({ channelId, channelType, head: 0 });
    }
  }

  async unsubscribe(channelId: string, channelType: number): Promise<void> {
    await this.#asked('unsubscribe', { subNo: '', channelId, channelType });
    this.#list.remove(channelId, channelType);
  }

  /** `payload`: base64. Resolves once the server has stored it. */
  async send(
    channelId: string,
    channelType: number,
    message: { readonly payload: string; readonly clientMsgNo: string },
  ): Promise<{ readonly messageId: string; readonly messageSeq: number }> {
    const answer = await this.#asked('send', { channelId, channelType, ...message });
    const [messageId, messageSeq] = [String(answer['messageId']), Number(answer['messageSeq'])];
    this.#list.raise(channelId, channelType, messageSeq);
    return { messageId, messageSeq };
  }

  /** Asks the server how it is, and compares. What the pings do by themselves. */
  async ping(): Promise<void> {
    const answer = await this.#request('ping', {});
    await this.#comparison.check(answer['digest']);
  }

  #open(): void {
    const { addresses, openSocket = openPlatformSocket, answerWithinMs = 10_000 } = this.#options;
    const address = addresses[this.#attempt++ % addresses.length];
    if (address === undefined) throw new RangeError('addresses: at least one is needed');
    this.#become('connecting', address);
    const limits = { answerWithinMs, pendingMax: this.#options.pendingMax ?? 1_000 };
    const connection: Connection = new Connection(openSocket(address), limits, {
      onOpen: () => void this.#connect(connection),
      onNotification: (method, params) => this.#notified(connection, method, params),
      onClosed: (reason) => this.#closed(connection, reason),
    });
    this.#connection = connection;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => connection.close('no answer to connect'), answerWithinMs);
  }

  async #connect(connection: Connection): Promise<void> {
    const { uid, token = '', deviceId = '', deviceFlag = 1 } = this.#options;
    const clientTimestamp = Date.now();
    try {
      await connection.request('connect', {
        ...{ uid, token, deviceId, deviceFlag, clientTimestamp, digest: true },
      });
    } catch (error) {
      const { code, message } = error as ClientError;
      if (code === AUTHENTICATION_FAILED) this.#become('refused', message);
      connection.close(message);
      return;
    }
    if (this.#connection !== connection || this.#state !== 'connecting') return;
    this.#connectedMs = Date.now();
    this.#become('connected', '');
    this.#pingSoon(connection, 0);
  }

  #pingSoon(connection: Connection, delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.ping().then(
        () => this.#pingSoon(connection, this.#options.pingMs ?? 25_000),
        (error: unknown) => connection.close(`ping: ${(error as Error).message}`),
      );
    }, delayMs);
  }

  #notified(connection: Connection, method: string, params: Result): void {
    if (connection !== this.#connection) return;
    if (method === 'recv') {
      const message = params as unknown as ReceivedMessage;
      const { messageId, messageSeq } = message;
      connection.notify('recvack', { messageId, messageSeq });
      this.#comparison.received(message);
    } else if (method === 'disconnect') {
      this.#become('kicked', String(params['reason']));
      connection.close('kicked');
    }
  }

  #closed(connection: Connection, reason: string): void {
    if (connection !== this.#connection) return;
    clearTimeout(this.#timer);
    this.#connection = undefined;
    if (this.#state !== 'connecting' && this.#state !== 'connected') return;
    const { backoffMinMs = 1_000, backoffMaxMs = 30_000, stableMs = 60_000 } = this.#options;
    const wasStable = this.#state === 'connected' && Date.now() - this.#connectedMs >= stableMs;
    this.#failures = wasStable ? 1 : this.#failures + 1;
    const mostMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(this.#failures - 1, 20));
    const waitMs = Math.random() * mostMs;
    this.#become('waiting', reason);
    this.#timer = setTimeout(() => this.#open(), waitMs);
  }

  async #asked(method: string, params: Result): Promise<Result> {
    const answer = await this.#request(method, params);
    const code = Number(answer['reasonCode']);
    if (code === SUCCESS) return answer;
    const { message } = answer;
    throw new ClientError(
      code,
      typeof message === 'string' ? message : `${method}: reason ${code}`,
    );
  }

  #request(method: string, params: Result): Promise<Result> {
    if (this.#connection && this.#state === 'connected') {
      return this.#connection.request(method, params);
    }
    return Promise.reject(new ClientError('closed', `not connected: ${this.#state}`));
  }

  #become(state: ClientState, reason: string): void {
    this.#state = state;
    this.#options.onState?.(state, reason);
  }
}

function openPlatformSocket(address: string): ClientSocket {
  const { WebSocket: Platform } = globalThis as { WebSocket?: new (url: string) => ClientSocket };
  if (!Platform) throw new Error('no WebSocket here: pass openSocket');
  return new Platform(address);
}
