/** What a tab knows of its conversations. No drawing and no connection here. */

const MESSAGES_MAX = 2000;
export const DIRECT = 1;

export class Conversations {
  #uid;
  /** By "type/id". */
  #all = new Map();

  constructor(uid) {
    this.#uid = uid;
  }

  get(key) {
    return this.#all.get(key);
  }

  /** The one of that key, new where there was none. */
  need(key) {
    const known = this.#all.get(key);
    if (known) return known;
    const slash = key.indexOf('/');
    const channel = { channelId: key.slice(slash + 1), channelType: Number(key.slice(0, slash)) };
    const direct = channel.channelType === DIRECT;
    const one = {
      ...{ key, channel, direct, name: direct ? `@${channel.channelId}` : channel.channelId },
      ...{ messages: [], last: undefined, at: 0, unread: 0, readSeq: 0, state: '' },
      // Whether the newest page was read in this connection, whether there is more before, and what is gone.
      ...{
        loaded: false,
        loading: false,
        reading: false,
        more: true,
        cutTo: undefined,
        heldSeq: 0,
      },
    };
    this.#all.set(key, one);
    return one;
  }

  delete(key) {
    this.#all.delete(key);
  }

  /** The newest first. */
  list() {
    return [...this.#all.values()].toSorted((a, b) => b.at - a.at);
  }

  unread() {
    let sum = 0;
    for (const one of this.#all.values()) sum += one.unread;
    return sum;
  }

  /** One of the server's list. */
  take({ last, unread, readSeq, recalls, ...channel }) {
    const one = this.need(keyOf(channel));
    one.unread = unread;
    one.readSeq = Math.max(one.readSeq, readSeq);
    if (!one.direct) one.state = 'subscribed';
    this.#raise(one, this.#shown(last));
    for (const { messageId, recall } of recalls) markRecalled(one, messageId, recall);
    return one;
  }

  /** Of the server's whole list: a private chat that it no longer names was deleted on another device. */
  forgetOthers(listed) {
    const named = new Set(listed.map(keyOf));
    for (const [key, one] of this.#all) {
      const isKept = !one.direct || named.has(key) || one.messages.some(({ seq }) => !seq);
      if (!isKept && one.last?.seq) this.#all.delete(key);
    }
  }

  /** A live message; gives its conversation. */
  receive(message) {
    const one = this.need(keyOf(message));
    const shown = this.#shown(message);
    const isNew = this.insert(one, shown);
    if (isNew && !shown.own && !(shown.seq <= one.readSeq)) one.unread += 1;
    return one;
  }

  /** The connection is a new one: what came meanwhile is not here. */
  renew() {
    for (const one of this.#all.values()) {
      one.loaded = false;
      one.heldSeq = one.messages.findLast((message) => message.seq)?.seq ?? 0;
    }
  }

  /** A page of history, of what is before a number or, with 0, the newest one. */
  takePage(one, { messages, more, cutTo }, fromSeq) {
    const first = messages[0]?.messageSeq ?? 0;
    if (fromSeq === 0) {
      one.loaded = true;
      // Something is missing between it and what is here, so it begins anew.
      const isApart = more && one.heldSeq > 0 && one.heldSeq < first - 1;
      if (isApart) one.messages = one.messages.filter(({ rank }) => rank >= first);
    }
    if (!(this.oldestSeq(one) < first)) Object.assign(one, { more, cutTo });
    for (const message of messages) this.insert(one, this.#shown(message));
  }

  /** Whether it is new. */
  insert(one, message) {
    const known = one.messages.find(
      ({ id, no, own }) =>
        (id !== undefined && id === message.id) || (own && message.own && no === message.no),
    );
    if (known) {
      this.confirm(one, known, message);
      return false;
    }
    place(one, message);
    if (one.messages.length > MESSAGES_MAX) {
      one.messages.shift();
      one.more = true;
    }
    if (!message.notice) this.#raise(one, message);
    return true;
  }

  /** What the server says of a message that is here already. */
  confirm(one, message, fields) {
    one.messages.splice(one.messages.indexOf(message), 1);
    Object.assign(message, fields);
    place(one, message);
    this.#raise(one, message);
  }

  /** What the server says of a recall. */
  recalled({ messageId, messageSeq, fromUid, by, role, ...channel }) {
    const one = this.#all.get(keyOf(channel));
    if (!one || !markRecalled(one, messageId, { by, role })) return;
    if (fromUid !== this.#uid && messageSeq > one.readSeq) one.unread = Math.max(0, one.unread - 1);
  }

  newestSeq(one) {
    return Math.max(one.last?.seq ?? 0, ...one.messages.slice(-1).map(({ rank }) => rank));
  }

  /** Infinity where there is none. */
  oldestSeq(one) {
    return one.messages.find((message) => message.seq)?.seq ?? Infinity;
  }

  #raise(one, message) {
    if (one.last?.seq && message.seq && message.seq < one.last.seq) return;
    one.last = message;
    one.at = Math.max(one.at, message.timestamp * 1000);
  }

  #shown({ messageId, messageSeq, clientMsgNo, fromUid, timestamp, text, recall }) {
    const own = fromUid === this.#uid;
    const status = own && !recall ? '✓' : '';
    return {
      ...{ id: messageId, seq: messageSeq, no: clientMsgNo, fromUid, own },
      ...{ timestamp, text, recall, status },
    };
  }
}

export function keyOf({ channelId, channelType }) {
  return `${channelType}/${channelId}`;
}

/** False where it was one before. */
function markRecalled(one, id, recall) {
  const held = [one.messages.find((message) => message.id === id), one.last];
  const known = held.filter((message) => message?.id === id);
  if (known.some((message) => message.recall)) return false;
  for (const message of known) Object.assign(message, { recall, text: '', status: '' });
  return true;
}

/** By number; what has none stays behind what was there when it came. */
function place(one, message) {
  const { messages } = one;
  message.rank = message.seq || message.rank || (messages.at(-1)?.rank ?? 0);
  let at = messages.length;
  while (at > 0 && messages[at - 1].rank > message.rank) at -= 1;
  messages.splice(at, 0, message);
}
