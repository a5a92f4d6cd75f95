import { SUBSCRIBE, TEXT_LENGTH_MAX, UNSUBSCRIBE } from './frame.ts';
import type { SendFrame, SubscriptionAction, SubscriptionFrame } from './frame.ts';

/**
 * Sends and subscribes are nearly all that comes in beside acknowledgements. One that is written as
 * `JSON.stringify` writes it (no spaces, no escapes, ASCII, each known field at most once) is read
 * here in a quarter of the time that JSON.parse takes. Anything else, right or wrong, is left to
 * `parseJsonRpc`.
 *
 * Invariant: what is returned equals what `parseJsonRpc` returns for the same bytes.
 */
export function scanUsual(bytes: Uint8Array): SendFrame | SubscriptionFrame | undefined {
  if (bytes.length > SCANNED_BYTES_MAX) return undefined;
  text = latin1Slice.call(bytes, 0, bytes.length);
  at = 0;
  failed = false;
  if (!take('{"jsonrpc":"2.0","id":"')) return undefined;
  const ref = word();
  if (failed || !take(',"method":"')) return undefined;
  if (take('send","params":{')) return scanSend(ref);
  if (take('subscribe","params":{')) return scanSubscription(ref, SUBSCRIBE);
  if (take('unsubscribe","params":{')) return scanSubscription(ref, UNSUBSCRIBE);
  return undefined;
}

/** Above it the payload is what costs, and the text of a part would keep the whole in memory. */
const SCANNED_BYTES_MAX = 4096;
const INTEGER_DIGITS_MAX = 15;

/** Takes any byte array, without the making of a Buffer. */
const { latin1Slice } = Buffer.prototype;

// The scan is synchronous and never calls out, so one position serves all frames.
let text = '';
let at = 0;
let failed = false;

function scanSend(ref: string): SendFrame | undefined {
  let clientMsgNo: string | undefined;
  let channelId: string | undefined;
  let channelType: number | undefined;
  let payload: Uint8Array | undefined;
  let flags: number | undefined;
  for (let more = true; more; more = next()) {
    if (clientMsgNo === undefined && take('"clientMsgNo":"')) clientMsgNo = word();
    else if (channelId === undefined && take('"channelId":"')) channelId = word();
    else if (channelType === undefined && take('"channelType":')) channelType = integer();
    else if (payload === undefined && take('"payload":"')) payload = base64();
    else if (flags === undefined && take('"header":{')) flags = header();
    else return undefined;
    if (failed) return undefined;
  }
  if (!take('}}') || at !== text.length) return undefined;
  if (channelId === undefined || channelType === undefined || !payload) return undefined;
  const bits = flags ?? 0;
  return {
    kind: 'send',
    ref,
    clientMsgNo: clientMsgNo ?? '',
    channelId,
    channelType,
    payload,
    noPersist: (bits & NO_PERSIST) !== 0,
    redDot: (bits & RED_DOT) !== 0,
    syncOnce: (bits & SYNC_ONCE) !== 0,
    setting: 0,
    topic: '',
    expire: 0,
  };
}

function scanSubscription(ref: string, action: SubscriptionAction): SubscriptionFrame | undefined {
  let subNo: string | undefined;
  let channelId: string | undefined;
  let channelType: number | undefined;
  for (let more = true; more; more = next()) {
    if (subNo === undefined && take('"subNo":"')) subNo = word();
    else if (channelId === undefined && take('"channelId":"')) channelId = word();
    else if (channelType === undefined && take('"channelType":')) channelType = integer();
    else return undefined;
    if (failed) return undefined;
  }
  if (!take('}}') || at !== text.length) return undefined;
  if (channelId === undefined || channelType === undefined) return undefined;
  const receipts = NO_RECEIPTS;
  return {
    kind: 'subscription',
    ref,
    action,
    subNo: subNo ?? '',
    channelId,
    channelType,
    receipts,
  };
}

const NO_RECEIPTS: readonly string[] = [];
const NO_PERSIST = 1;
const RED_DOT = 2;
const SYNC_ONCE = 4;

/** The flags that are set, with the closing brace. */
function header(): number {
  let known = 0;
  let bits = 0;
  for (let more = true; more; more = next()) {
    let bit = 0;
    if (take('"noPersist":')) bit = NO_PERSIST;
    else if (take('"redDot":')) bit = RED_DOT;
    else if (take('"syncOnce":')) bit = SYNC_ONCE;
    if (bit === 0 || (known & bit) !== 0) return fail();
    known |= bit;
    if (take('true')) bits |= bit;
    else if (!take('false')) return fail();
  }
  return take('}') ? bits : fail();
}

/** True where another field follows. */
function next(): boolean {
  if (text.charCodeAt(at) !== 0x2c) return false;
  at += 1;
  return true;
}

function take(part: string): boolean {
  if (!text.startsWith(part, at)) return false;
  at += part.length;
  return true;
}

/** Up to the closing quote. Printable ASCII without a backslash stands for itself. */
function word(): string {
  const from = at;
  for (; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) {
      if (at - from > TEXT_LENGTH_MAX) break;
      return text.slice(from, at++);
    }
    if (unit < 0x20 || unit > 0x7e || unit === 0x5c) break;
  }
  failed = true;
  return '';
}

function integer(): number {
  const from = at;
  let value = 0;
  for (; ; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (!(digit >= 0 && digit <= 9)) break;
    value = value * 10 + digit;
  }
  const digits = at - from;
  const padded = digits > 1 && text.charCodeAt(from) === 0x30;
  return digits === 0 || digits > INTEGER_DIGITS_MAX || padded ? fail() : value;
}

/** Whatever is no base64 in full, escapes included, decodes to fewer bytes than its length says. */
function base64(): Uint8Array | undefined {
  const end = text.indexOf('"', at);
  const length = end - at;
  if (end < 0 || length % 4 !== 0) {
    failed = true;
    return undefined;
  }
  const encoded = text.slice(at, end);
  at = end + 1;
  const padding = encoded.endsWith('==') ? 2 : encoded.endsWith('=') ? 1 : 0;
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.length !== (length / 4) * 3 - padding) failed = true;
  return bytes;
}

function fail(): number {
  failed = true;
  return 0;
}
