import { ChatClient, drawId } from './chat-client.js';
import { Conversations, DIRECT, keyOf } from './conversations.js';
import { reasonText } from './wording.js';

const PAGE = 30;
/** Several messages in a row are one read. */
const READ_AFTER_MS = 300;

/** One signed-in user: the connection and the conversations, kept in step. */
export class Chat {
  #client;
  #onChange;
  #conversations;
  #version = 0;
  #lostAt = 0;
  uid;
  online = false;
  /** The key of the open one. */
  current = '';

  /** {uid, token, deviceId, addresses, nodeName, onState, onChange}: see ChatClient. */
  constructor(options) {
    this.uid = options.uid;
    this.#onChange = options.onChange;
    this.#conversations = new Conversations(options.uid);
    this.#client = new ChatClient({
      ...options,
      onState: (change) => {
        this.#onState(change, options.nodeName);
        options.onState(change);
      },
      onMessage: (message) => this.#received(message),
      onEvent: (type, data) => this.#onEvent(type, data),
    });
  }

  start() {
    this.#client.start();
  }

  stop() {
    this.#client.stop();
  }

  retry() {
    this.#client.retry();
  }

  list() {
    return this.#conversations.list();
  }

  unread() {
    return this.#conversations.unread();
  }

  open() {
    return this.#conversations.get(this.current);
  }

  /** Makes it the current one and reads its newest page. */
  show(key) {
    this.current = key;
    this.#ensure(key);
    this.#markRead();
    this.#onChange();
  }

  /** Of a key that is known from before. */
  keep(key) {
    this.#ensure(key);
  }

  /** The tab is looked at again. */
  looked() {
    this.#markRead();
    this.#onChange();
  }

  async older(one) {
    const from = this.#conversations.oldestSeq(one);
    if (!this.online || one.loading || !one.more || !one.loaded || from === Infinity) return;
    if (from <= 1) one.more = false;
    else await this.#load(one, from - 1);
    this.#onChange();
  }

  async send(text) {
    const one = this.open();
    const no = drawId();
    const timestamp = Math.floor(Date.now() / 1000);
    const message = { no, own: true, fromUid: this.uid, timestamp, text, status: 'sending' };
    this.#conversations.insert(one, message);
    this.#onChange();
    try {
      const { reasonCode, message: why, ...sent } = await this.#client.send(one.channel, no, text);
      if (reasonCode === 1) {
        const { messageId: id, messageSeq: seq } = sent;
        this.#conversations.confirm(one, message, { id, seq, status: '✓' });
        one.readSeq = Math.max(one.readSeq, one.unread === 0 ? seq : 0);
      } else fail(message, `not sent: ${why || reasonText(reasonCode)}`);
    } catch (error) {
      fail(message, `not confirmed: ${error.message}`);
    }
    this.#onChange();
  }

  async recall(one, message) {
    message.status = 'taking back';
    this.#onChange();
    try {
      await this.#client.recall(one.channel, message.id, message.seq);
      const recall = { by: this.uid, role: 'sender' };
      Object.assign(message, { recall, text: '', status: '' });
    } catch (error) {
      message.status = `not taken back: ${error.message}`;
    }
    this.#onChange();
  }

  /** Out of the list: a group is left, a direct one comes back with its next message. */
  async leave(one) {
    try {
      if (one.direct) await this.#client.hide(one.channel);
      else {
        const { reasonCode, message } = await this.#client.unsubscribe(one.channel);
        if (reasonCode !== 1) throw new Error(message || reasonText(reasonCode));
      }
    } catch (error) {
      this.#note(one, `Not done: ${error.message}`);
      this.#onChange();
      return;
    }
    this.#conversations.delete(one.key);
    this.show(this.list()[0]?.key ?? '2/lobby');
  }

  #ensure(key) {
    const one = this.#conversations.need(key);
    if (!this.online) return;
    void this.#subscribe(one).then(() => {
      if (one.key === this.current && !one.loaded && !isRefused(one)) void this.#load(one, 0);
    });
  }

  #onState({ state }, nodeName) {
    this.online = state === 'online';
    if (state === 'waiting') this.#lostAt ||= Date.now();
    if (!this.online) return;
    if (this.#lostAt) {
      const seconds = Math.max(1, Math.round((Date.now() - this.#lostAt) / 1000));
      for (const one of this.list()) {
        this.#note(one, `Connected to ${nodeName()} again, after ${seconds} s`);
      }
    }
    this.#lostAt = 0;
    void this.#catchUp();
  }

  async #catchUp() {
    this.#conversations.renew();
    try {
      const isBack = this.#version > 0;
      const { conversations, version } = await this.#client.conversations(this.#version);
      this.#version = version ?? 0;
      for (const conversation of conversations) this.#conversations.take(conversation);
      // What changed since a version names nothing that went.
      const all = isBack && (await this.#client.conversations(0));
      if (all && all.whole) this.#conversations.forgetOthers(all.conversations);
    } catch {
      // Told by the state, where the connection ended; else the list is what it was.
    }
    for (const { key } of this.list()) this.#ensure(key);
    this.#markRead();
    this.#onChange();
  }

  async #subscribe(one) {
    if (one.direct || one.state === 'subscribed') return;
    try {
      const { reasonCode, message } = await this.#client.subscribe(one.channel);
      const refused = `refused: ${message || reasonText(reasonCode)}`;
      one.state = reasonCode === 1 ? 'subscribed' : refused;
    } catch (error) {
      one.state = error.message;
    }
    this.#onChange();
  }

  async #load(one, fromSeq) {
    if (one.loading) return;
    one.loading = true;
    try {
      const page = await this.#client.history(one.channel, fromSeq, PAGE);
      this.#conversations.takePage(one, page, fromSeq);
      this.#markRead();
    } catch (error) {
      if (this.online) this.#note(one, `No history: ${error.message}`);
    }
    one.loading = false;
    this.#onChange();
  }

  #received(message) {
    this.#conversations.receive(message);
    this.#markRead();
    this.#onChange();
  }

  #onEvent(type, data) {
    if (type === 'message.recalled') this.#conversations.recalled(data);
    else if (type === 'conversation.updated') this.#updated(data);
    else return;
    this.#onChange();
  }

  /** On whichever device it was read. */
  #updated({ deleted, unread, readSeq, ...channel }) {
    const known = this.#conversations.get(keyOf(channel));
    if (deleted) {
      if (known?.direct && known.key !== this.current) this.#conversations.delete(known.key);
      return;
    }
    const one = known ?? this.#conversations.need(keyOf(channel));
    if (!known && channel.channelType !== DIRECT) this.#ensure(one.key);
    one.readSeq = Math.max(one.readSeq, readSeq);
    one.unread = unread;
    this.#markRead();
  }

  /** What is open in a tab that is looked at was read. */
  #markRead() {
    const one = this.open();
    if (!one || document.hidden) return;
    const seq = this.#conversations.newestSeq(one);
    const isNew = one.unread > 0 || (one.last && !one.last.own && seq > one.readSeq);
    one.unread = 0;
    if (!isNew || !this.online || one.reading) return;
    one.reading = true;
    setTimeout(() => {
      one.reading = false;
      const newest = this.#conversations.newestSeq(one);
      one.readSeq = Math.max(one.readSeq, newest);
      // Where it fails, the list of the next connection says so.
      this.#client.read(one.channel, newest).catch(() => {});
    }, READ_AFTER_MS);
  }

  #note(one, notice) {
    const timestamp = Math.floor(Date.now() / 1000);
    this.#conversations.insert(one, { id: drawId(), notice, timestamp });
  }
}

function isRefused({ state }) {
  return state.startsWith('refused');
}

function fail(message, status) {
  Object.assign(message, { status, failed: true });
}
