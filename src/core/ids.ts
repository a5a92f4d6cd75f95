/**
 * Branded ids. Only the parsers of this file make them, so a function that takes a `Uid` never has to
 * check again what a uid may contain.
 */
declare const brand: unique symbol;
type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };

/** A durable identity, 1 to 256 characters, without control characters and `@ # &`. */
export type Uid = Brand<string, 'Uid'>;
/** `type/id`: the routing key of a channel. For a person channel the id is the stored pair of uids. */
export type ChannelKey = Brand<string, 'ChannelKey'>;
/** A member of the cluster: 1 to 64 of `A-Z a-z 0-9 . _ -`. */
export type MemberId = Brand<string, 'MemberId'>;
/** One run of one member: 16 lower-case hex digits, drawn at random at every process start. */
export type ActorId = Brand<string, 'ActorId'>;

export type Parsed<Value> =
  { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly error: string };

export const ID_LENGTH_MAX = 256;
export const PERSON = 1;
export const CHANNEL_TYPE_MAX = 10;

const SLASH = 0x2f;
const DIGIT_ZERO = 0x30;
const CONTROL = /[\u0000-\u001f\u007f]/;
const LONE_SURROGATE = /\p{Surrogate}/u;

export function parseUid(text: unknown): Parsed<Uid> {
  const checked = parseText(text, 'uid');
  if (!checked.ok) return checked;
  const forbidden = /[@#&]/.exec(checked.value);
  if (forbidden) {
    return refuse(`uid: character ${JSON.stringify(forbidden[0])} is not allowed (nor @ # &)`);
  }
  return { ok: true, value: checked.value as Uid };
}

/** `channelId` as it is stored: a group's own id, or the pair `larger@smaller` of a person channel. */
export function parseChannelKey(channelId: unknown, channelType: unknown): Parsed<ChannelKey> {
  const type = parseChannelType(channelType);
  if (!type.ok) return type;
  const id = parseText(channelId, 'channelId', 2 * ID_LENGTH_MAX + 1);
  if (!id.ok) return id;
  return { ok: true, value: `${type.value}/${id.value}` as ChannelKey };
}

export function parseChannelType(channelType: unknown): Parsed<number> {
  if (typeof channelType !== 'number' || !Number.isInteger(channelType)) {
    return refuse(`channelType: expected an integer, found ${describe(channelType)}`);
  }
  if (channelType < 1 || channelType > CHANNEL_TYPE_MAX) {
    return refuse(`channelType: ${channelType} is outside 1..${CHANNEL_TYPE_MAX}`);
  }
  return { ok: true, value: channelType };
}

export function parseMemberId(text: unknown): Parsed<MemberId> {
  if (typeof text !== 'string' || !/^[A-Za-z0-9._-]{1,64}$/.test(text)) {
    return refuse(`member id: expected 1 to 64 of A-Z a-z 0-9 . _ -, found ${describe(text)}`);
  }
  return { ok: true, value: text as MemberId };
}

export function parseActorId(text: unknown): Parsed<ActorId> {
  if (typeof text !== 'string' || !/^[0-9a-f]{16}$/.test(text)) {
    return refuse(`actor: expected 16 lower-case hex digits, found ${describe(text)}`);
  }
  return { ok: true, value: text as ActorId };
}

export function channelTypeOf(channel: ChannelKey): number {
  // Asked several times a message, and all types but one have one digit.
  if (channel.charCodeAt(1) === SLASH) return channel.charCodeAt(0) - DIGIT_ZERO;
  return Number(channel.slice(0, channel.indexOf('/')));
}

export function channelIdOf(channel: ChannelKey): string {
  return channel.slice(channel.indexOf('/') + 1);
}

function parseText(text: unknown, what: string, lengthMax = ID_LENGTH_MAX): Parsed<string> {
  if (typeof text !== 'string')
    return refuse(`${what}: expected a string, found ${describe(text)}`);
  if (text.length === 0) return refuse(`${what}: is empty`);
  if (text.length > lengthMax)
    return refuse(`${what}: ${text.length} characters, at most ${lengthMax}`);
  if (isPrintableAscii(text)) return { ok: true, value: text };
  if (CONTROL.test(text)) return refuse(`${what}: contains a control character`);
  if (LONE_SURROGATE.test(text)) return refuse(`${what}: contains half of a surrogate pair`);
  return { ok: true, value: text };
}

/** True for most ids, which then need no closer look. About 1 ns a character. */
export function isPrintableAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e) return false;
  }
  return true;
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  return typeof value === 'number' ? String(value) : typeof value;
}

function refuse(error: string): { readonly ok: false; readonly error: string } {
  return { ok: false, error };
}
