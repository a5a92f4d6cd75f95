/** One user's connection: WuKongIM's JSON-RPC over WebSocket, and back again after every loss. */

import { closeText } from './wording.js';

const PING_MS = 25_000;
const REPLY_MS = 10_000;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15_000;
const KNOWN_MESSAGES_MAX = 2000;
const LIST_PAGES_MAX = 10;
const LIST_PAGE = 100;
const WEB = 1;
/** The node cannot now, another one may. */
const SYSTEM_ERROR = 15;

export class ChatClient {
  #options;
  #socket;
  #pending = new Map();
  #known = new Set();
  #nextId = 1;
  #attempts = 0;
  #ended = false;
  /** Where a node that is being drained said to go. */
  #led;
  #timers = new Set();

  /**
   * uid, token, deviceId; addresses() gives where to connect, the preferred one first;
   * onState({state: 'connecting' | 'online' | 'waiting' | 'refused' | 'ended', address, reason, retryMs}),
   * onMessage(message), onEvent(type, data).
   */
  constructor(options) {
    this.#options = options;
  }

  start() {
    const addresses = this.#options.addresses();
    const address = this.#led ?? addresses[this.#attempts % addresses.length];
    this.#led = undefined;
    this.#state({ state: 'connecting', address });
    let socket;
    try {
      socket = new WebSocket(address);
    } catch (error) {
      this.#socket = undefined;
      this.#lost(undefined, error.message);
      return;
    }
    this.#socket = socket;
    const patience = this.#after(REPLY_MS, () => socket.close());
    socket.addEventListener('open', () => {
      const { uid, token, deviceId } = this.#options;
      const device = { deviceId, deviceFlag: WEB, clientTimestamp: Date.now() };
      this.#call('connect', { uid, token, ...device }).then(
        () => {
          this.#cancel(patience);
          this.#attempts = 0;
          this.#state({ state: 'online', address });
          this.#ping(socket);
        },
        ({ code, message }) => {
          if (code === SYSTEM_ERROR) socket.close(4000, message);
          else if (code !== undefined) this.#finish('refused', `${message} (reason ${code})`);
        },
      );
    });
    socket.addEventListener('message', ({ data }) => this.#receive(data));
    socket.addEventListener('close', ({ code, reason }) =>
      this.#lost(socket, reason || closeText(code)),
    );
  }

  stop() {
    this.#finish('ended', '');
  }

  /** Now, and not when the wait is over. */
  retry() {
    if (this.#ended || this.#socket?.readyState < WebSocket.CLOSING) return;
    this.#clear();
    this.start();
  }

  subscribe(channel) {
    return this.#call('subscribe', { subNo: drawId(), ...channel });
  }

  unsubscribe(channel) {
    return this.#call('unsubscribe', { subNo: drawId(), ...channel });
  }

  /** Resolves with {messageId, messageSeq, reasonCode}; rejects where the connection ends before. */
  send(channel, clientMsgNo, text) {
    const payload = encodeText(JSON.stringify({ type: 1, content: text }));
    return this.#call('send', { clientMsgNo, ...channel, payload, header: { redDot: true } });
  }

  /**
   * What there is, or what changed since a version, at most LIST_PAGES_MAX pages of it. Resolves with
   * {conversations, version, whole}, the newest first; `whole`: there was no more.
   */
  async conversations(since) {
    const conversations = [];
    let version;
    let whole = false;
    let after = '';
    for (let page = 0; page < LIST_PAGES_MAX; page++) {
      const asked = { version: since, limit: LIST_PAGE, after };
      const answer = await this.#call('conversations', asked);
      version ??= answer.version;
      conversations.push(...answer.conversations);
      whole = !answer.more;
      if (whole) break;
      after = answer.next;
    }
    return { version, whole, conversations: conversations.map(withLastRead) };
  }

  /** Down from a number, 0 for the newest. Resolves with {messages, more, cutTo}, ascending. */
  async history(channel, startSeq, limit) {
    const answer = await this.#call('history', { ...channel, startSeq, limit });
    return { ...answer, messages: answer.messages.map(readable) };
  }

  recall(channel, messageId, messageSeq) {
    return this.#call('recall', { ...channel, messageId, messageSeq });
  }

  read(channel, messageSeq) {
    return this.#call('read', { ...channel, messageSeq });
  }

  /** Out of the list until another message comes. */
  hide(channel) {
    return this.#call('read', { ...channel, deleted: true });
  }

  #call(method, params) {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error('not connected'));
    const id = String(this.#nextId++);
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  }

  #ping(socket) {
    this.#after(PING_MS, () => {
      const late = this.#after(REPLY_MS, () => socket.close());
      this.#call('ping', {}).then(
        () => {
          this.#cancel(late);
          this.#ping(socket);
        },
        () => {},
      );
    });
  }

  #receive(data) {
    const frame = JSON.parse(data);
    if (frame.method === 'recv') this.#onRecv(frame.params);
    else if (frame.method === 'event') this.#onEvent(frame.params);
    else if (frame.method === 'disconnect') {
      this.#finish('refused', frame.params.reason || `reason ${frame.params.reasonCode}`);
    } else if (frame.id !== undefined) {
      const call = this.#pending.get(String(frame.id));
      this.#pending.delete(String(frame.id));
      if (frame.error) call?.reject(Object.assign(new Error(frame.error.message), frame.error));
      else call?.resolve(frame.result ?? {});
    }
  }

  #onRecv(params) {
    const { messageId, messageSeq } = params;
    this.#socket.send(JSON.stringify({ method: 'recvack', params: { messageId, messageSeq } }));
    if (this.#known.has(messageId)) return;
    this.#known.add(messageId);
    if (this.#known.size > KNOWN_MESSAGES_MAX)
      this.#known.delete(this.#known.values().next().value);
    // A command to programs, as WuKongIM's of a recall: nothing that anybody said.
    if (params.header?.syncOnce) return;
    this.#options.onMessage(readable(params));
  }

  #onEvent({ type, data }) {
    const said = JSON.parse(data);
    // Of the same kind only, so that nobody is led from wss:// to ws://.
    const kind = new URL(this.#socket.url).protocol;
    if (type === 'lifecycle.drain' && said.reconnect) {
      this.#led = said.next?.find((address) => address.startsWith(kind));
    }
    this.#options.onEvent(type, said);
  }

  #lost(socket, reason) {
    if (this.#ended || socket !== this.#socket) return;
    this.#clear();
    const most = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.#attempts++);
    const retryMs = this.#led ? 0 : Math.round(most * (0.5 + Math.random() / 2));
    this.#state({ state: 'waiting', reason, retryMs });
    this.#after(retryMs, () => this.start());
  }

  #finish(state, reason) {
    if (this.#ended) return;
    this.#ended = true;
    this.#clear();
    this.#socket?.close();
    this.#state({ state, reason });
  }

  #state(change) {
    this.#options.onState(change);
  }

  #clear() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const { reject } of this.#pending.values()) reject(new Error('connection lost'));
    this.#pending.clear();
  }

  #after(delayMs, task) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      task();
    }, delayMs);
    this.#timers.add(timer);
    return timer;
  }

  #cancel(timer) {
    clearTimeout(timer);
    this.#timers.delete(timer);
  }
}

/** crypto.randomUUID exists in secure contexts only, and a node in a LAN is none. */
export function drawId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join(
    '',
  );
}

function encodeText(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function withLastRead(one) {
  return { ...one, last: readable(one.last), recalls: one.recalls ?? [] };
}

function readable(message) {
  return { ...message, text: message.recall ? '' : textOf(message.payload) };
}

/** WuKongIM's text message is {"type":1,"content":"…"}; anything else is shown as it is. */
function textOf(payload) {
  const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
  const text = new TextDecoder().decode(bytes);
  try {
    const { content } = JSON.parse(text);
    return typeof content === 'string' ? content : text;
  } catch {
    return text;
  }
}
