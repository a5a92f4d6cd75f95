import { Addresses } from './addresses.ts';
import { Backoff } from './backoff.ts';
import { CatchUp } from './catch-up.ts';
import { ChannelList, type ListedChannel } from './channel-list.ts';
import { Comparison } from './comparison.ts';
import { Connection, type Result } from './connection.ts';
import { ConversationStore } from './conversations.ts';
import { Inbox } from './inbox.ts';
import {
  ClientError,
  type ClientOptions,
  type ClientSocket,
  type ClientState,
  type Outgoing,
  type ReceivedMessage,
  type Sent,
} from './options.ts';
import { ResumeState } from './resume-state.ts';
import { SendQueue } from './send-queue.ts';

export { ClientError } from './options.ts';
export type { ClientConversation } from './conversations.ts';
export type {
  ClientOptions,
  ClientState,
  Outgoing,
  ReceivedMessage,
  Resumed,
  Sent,
  ServerEvent,
} from './options.ts';

const AUTHENTICATION_FAILED = 2;
const SUCCESS = 1;

/**
 * A client of the JSON-RPC port, for browsers and Node. It comes back by itself, at the next address and
 * after a capped random wait, goes on where it was, and with each ping it compares its channels with what
 * the server says. The application is handed each message once, in the order of its channel.
 */
export class HoldfastClient {
  /** Filled with each connection, and by what comes. */
  readonly conversations: ConversationStore;
  readonly #options: ClientOptions;
  readonly #list = new ChannelList();
  readonly #inbox: Inbox;
  readonly #comparison: Comparison;
  readonly #resume: ResumeState;
  readonly #catchUp: CatchUp;
  readonly #queue: SendQueue;
  readonly #backoff: Backoff;
  readonly #addresses: Addresses;
  #connection: Connection | undefined;
  #state: ClientState = 'stopped';
  #connectedMs = 0;
  #pinging = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    const request = (method: string, params: Result): Promise<Result> =>
      this.#request(method, params);
    this.#backoff = new Backoff(options);
    this.#addresses = new Addresses(options.addresses);
    this.#resume = new ResumeState(options.resumeToken ?? '');
    this.#inbox = new Inbox({
      list: this.#list,
      deliver: (message) => this.#deliver(message),
      onOverflow: () => this.#connection?.close('more waits than may'),
    });
    this.#comparison = new Comparison({
      ...{ list: this.#list, inbox: this.#inbox, request },
      onListed: (channel) => this.#resume.raise(channel),
      onChannels: () => {
        this.#loadConversations();
        options.onChannels?.(this.channels());
      },
      onRepaired: (what) => options.onRepaired?.(what),
    });
    this.#catchUp = new CatchUp({ inbox: this.#inbox, state: this.#resume, request });
    this.conversations = new ConversationStore({
      ...{ uid: options.uid, conversationsMax: options.conversationsMax ?? 1_000, request },
      onChange: () => options.onConversations?.(),
    });
    this.#queue = new SendQueue({
      lengthMax: options.sendQueueMax ?? 1_000,
      isOnline: () => this.#state === 'connected',
      send: (message) => this.#send(message),
    });
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Messages that wait to be sent or for their answer. */
  get unsent(): number {
    return this.#queue.length;
  }

  channels(): readonly ListedChannel[] {
    return this.#list.all();
  }

  start(): void {
    if (this.#state === 'connecting' || this.#state === 'connected') return;
    this.#open();
  }

  /** What was not sent yet is rejected. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#become('stopped', 'stop was called');
    this.#connection?.close('stop was called');
    this.#queue.clear('stop was called');
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

  /**
   * Resolves once the server has stored it; waits for a connection where there is none, and sends again
   * where one is lost. Rejects with a `ClientError`: the server's reason code, `busy` where too many wait,
   * `closed` after `stop`.
   */
  send(
    channelId: string,
    channelType: number,
    message: Pick<Outgoing, 'payload' | 'clientMsgNo'>,
  ): Promise<Sent> {
    const clientMsgNo = message.clientMsgNo ?? randomNumber();
    return this.#queue.push({ channelId, channelType, payload: message.payload, clientMsgNo });
  }

  /**
   * A request of the server's own, such as `history` and `recall`; the result as it came. Rejects with a
   * `ClientError`.
   */
  request(method: string, params: Result): Promise<Result> {
    return this.#asked(method, params);
  }

  /** Asks the server how it is, and compares. What the pings do by themselves. */
  async ping(): Promise<void> {
    const answer = await this.#pingOnce();
    if (this.#fits(answer)) return;
    await this.#comparison.check(answer['digest']);
    // Now that it has what it lacked, a token is true of it.
    await this.#pingOnce();
  }

  #open(): void {
    const { openSocket = openPlatformSocket, answerWithinMs = 10_000 } = this.#options;
    const address = this.#addresses.next();
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
    const { uid, deviceId = '', deviceFlag = 1 } = this.#options;
    try {
      const token = await this.#token();
      if (this.#connection !== connection || this.#state !== 'connecting') return;
      const resume = { resume: this.#resume.token, seen: this.#resume.seen() };
      const clientTimestamp = Date.now();
      await connection.request(
        'connect',
        { ...{ uid, token, deviceId, deviceFlag, clientTimestamp, digest: true }, ...resume },
        (answer) => this.#connected(connection, answer['resume']),
      );
    } catch (error) {
      const { code, message } = error as ClientError;
      if (this.#connection === connection && code === AUTHENTICATION_FAILED) {
        this.#become('refused', message);
      }
      connection.close(message);
    }
  }

  async #token(): Promise<string> {
    const { token = '' } = this.#options;
    return typeof token === 'string' ? token : token();
  }

  /** Before anything that came after the answer is read. */
  #connected(connection: Connection, resume: unknown): void {
    if (this.#connection !== connection || this.#state !== 'connecting') return;
    this.#connectedMs = Date.now();
    clearTimeout(this.#timer);
    const isFirst = this.#resume.token === '';
    const resumed = this.#catchUp.begin(resume);
    // A first token has nothing behind it; any other waits for what comes after the answer.
    if (isFirst && resumed) this.#adopt((resume as { readonly token?: unknown }).token);
    this.#become('connected', '');
    if (resumed && !isFirst) this.#options.onResumed?.(resumed);
    this.#queue.flush();
    this.#catchUp.run().then(
      () => this.#connection === connection && this.#pingSoon(connection, 0),
      (error: unknown) => connection.close(`catching up: ${(error as Error).message}`),
    );
    this.#loadConversations();
  }

  /** Of no channel of its own: it may fail, and the next connection loads it again. */
  #loadConversations(): void {
    if (this.#options.onConversations) this.conversations.load().catch(() => {});
  }

  /**
   * Of an answer: what came before it is covered by the token, where nothing that went out has been lost;
   * and what waits is not handed on yet.
   */
  #adopt(token: unknown): void {
    if (typeof token !== 'string' || token === '') return;
    if (this.#catchUp.isWorking || this.#inbox.isHolding) return;
    this.#resume.adopt(token);
    this.#options.onResumeToken?.(token);
  }

  #pingOnce(): Promise<Result> {
    return this.#request('ping', {}, (answer) => {
      if (this.#fits(answer)) this.#adopt(answer['resume']);
    });
  }

  /** A server that sends no digest is believed. */
  #fits({ digest }: Result): boolean {
    return typeof digest !== 'string' || digest === this.#list.digest();
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
    } else if (method === 'event') {
      this.#event(params);
    } else if (method === 'disconnect') {
      this.#become('kicked', String(params['reason']));
      connection.close('kicked');
    }
  }

  #event({ id, type, timestamp, data }: Result): void {
    let said: unknown;
    try {
      said = JSON.parse(String(data));
    } catch {
      said = data;
    }
    const event = {
      id: String(id),
      type: String(type),
      timestampMs: Number(timestamp),
      data: said,
    };
    this.conversations.event(event);
    if (event.type === 'lifecycle.drain') this.#addresses.lead(event.data);
    this.#options.onEvent?.(event);
  }

  #deliver(message: ReceivedMessage): void {
    const { messageId, messageSeq: head, channelId, channelType, fromUid, clientMsgNo } = message;
    this.#resume.note(messageId);
    this.#resume.raise({ channelId, channelType, head });
    this.conversations.received(message);
    if (this.#resume.isLong && !this.#pinging) this.#pingNow();
    // Its own, stored before the answer was lost: `send` resolves with the retry.
    if (fromUid === this.#options.uid && this.#queue.has(clientMsgNo)) return;
    this.#options.onMessage(message);
  }

  /** For a younger token. */
  #pingNow(): void {
    this.#pinging = true;
    this.#pingOnce()
      .catch(() => {})
      .finally(() => {
        this.#pinging = false;
      });
  }

  #closed(connection: Connection, reason: string): void {
    if (connection !== this.#connection) return;
    clearTimeout(this.#timer);
    this.#connection = undefined;
    // With a token it comes again, without one it is all there will be.
    if (this.#resume.token === '') this.#inbox.releaseAll();
    else this.#inbox.forget();
    const wasConnected = this.#state === 'connected';
    if (this.#state !== 'connecting' && !wasConnected) return;
    const connectedMs = wasConnected ? Date.now() - this.#connectedMs : 0;
    const waitMs =
      this.#addresses.ledWaitMs(Math.random()) ?? this.#backoff.waitMs(connectedMs, Math.random());
    this.#become('waiting', reason);
    this.#timer = setTimeout(() => this.#open(), waitMs);
  }

  async #send(message: Required<Outgoing>): Promise<Sent> {
    const answer = await this.#asked('send', { ...message });
    const { channelId, channelType } = message;
    const [messageId, head] = [String(answer['messageId']), Number(answer['messageSeq'])];
    this.#list.raise(channelId, channelType, head);
    this.#resume.note(messageId);
    if (this.#inbox.note(messageId)) {
      const timestamp = Math.floor(Date.now() / 1000);
      const fromUid = this.#options.uid;
      this.conversations.received({ ...message, messageId, messageSeq: head, timestamp, fromUid });
    }
    return { messageId, messageSeq: head };
  }

  async #asked(method: string, params: Result): Promise<Result> {
    const answer = await this.#request(method, params);
    const code = Number(answer['reasonCode'] ?? SUCCESS);
    if (code === SUCCESS) return answer;
    const { message } = answer;
    throw new ClientError(
      code,
      typeof message === 'string' ? message : `${method}: reason ${code}`,
    );
  }

  #request(method: string, params: Result, onResult?: (result: Result) => void): Promise<Result> {
    if (this.#connection && this.#state === 'connected') {
      return this.#connection.request(method, params, onResult);
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

/** Unlike any other's; `crypto` is everywhere, `randomUUID` only in secure pages. */
function randomNumber(): string {
  const words = globalThis.crypto.getRandomValues(new Uint32Array(4));
  return [...words].map((word) => word.toString(16).padStart(8, '0')).join('');
}
