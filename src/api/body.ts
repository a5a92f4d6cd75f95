import { PERSON, parseChannelKey, parseChannelType, parseUid } from '../core/ids.ts';
import type { ChannelKey, Parsed, Uid } from '../core/ids.ts';
import { badRequest } from './http-error.ts';

/**
 * Readers of the fields of a JSON body. Each throws a 400 that names the field, what was found and what
 * is allowed. A route reads all of its fields before it writes anything. null is the same as absent;
 * fields that a route does not know are ignored, because backends send more than one server's fields.
 */
export type Fields = Readonly<Record<string, unknown>>;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

/** Strict UTF-8, so that no uid is altered on its way in. */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined;
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw badRequest('body: is not UTF-8');
  }
  try {
    return JSON.parse(exactIds(text)) as unknown;
  } catch (error) {
    throw badRequest(`body: is not JSON: ${(error as Error).message.slice(0, 200)}`);
  }
}

/**
 * JSON.parse rounds an int64, and a rounded id is another message's: `message_id` of that many digits
 * becomes a string before. A quote inside of a JSON string is escaped, so nothing that was said in one
 * is touched.
 */
function exactIds(text: string): string {
  return text.includes('"message_id"')
    ? text.replace(/"message_id"(\s*:\s*)(\d{16,19})(?=[\s,}])/g, '"message_id"$1"$2"')
    : text;
}

const MESSAGE_ID_MAX = 2n ** 63n - 1n;

/** `message_id` as a number or as decimal digits, or `message_idstr`; undefined where there is neither. */
export function readMessageId(fields: Fields): bigint | undefined {
  const name = fields['message_idstr'] ? 'message_idstr' : 'message_id';
  const value = fields[name];
  if (value === undefined || value === null || value === '' || value === 0) return undefined;
  const digits = Number.isSafeInteger(value) ? `${value as number}` : value;
  const id = typeof digits === 'string' && /^\d{1,19}$/.test(digits) ? BigInt(digits) : 0n;
  if (id > 0n && id <= MESSAGE_ID_MAX) return id;
  throw badRequest(
    `${name}: expected a positive int64 or its decimal digits, found ${describe(value)}`,
  );
}

export function fieldsOf(body: unknown, where = 'body'): Fields {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw badRequest(`${where}: expected a JSON object, found ${describe(body)}`);
  }
  return body as Fields;
}

export function readUid(fields: Fields, name: string): Uid {
  return named(parseUid(fields[name]), name);
}

/** 0 or 1, or a JSON boolean; undefined where absent. */
export function readFlag(fields: Fields, name: string): boolean | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (value === true || value === 1) return true;
  if (value === false || value === 0) return false;
  throw badRequest(`${name}: expected 0 or 1, found ${describe(value)}`);
}

export interface IntegerRange {
  readonly from: number;
  readonly to: number;
  /** Where the field is absent; without it the field is required. */
  readonly fallback?: number;
}

export function readInteger(fields: Fields, name: string, range: IntegerRange): number {
  const value = fields[name] ?? range.fallback;
  if (
    typeof value === 'number' &&
    Number.isInteger(value) &&
    value >= range.from &&
    value <= range.to
  ) {
    return value;
  }
  throw badRequest(
    `${name}: expected an integer from ${range.from} to ${range.to}, found ${describe(value)}`,
  );
}

export interface TextRule {
  readonly lengthMax: number;
  readonly fallback?: string;
}

export function readText(fields: Fields, name: string, rule: TextRule): string {
  const value = fields[name] ?? rule.fallback;
  if (typeof value !== 'string') {
    throw badRequest(`${name}: expected a string, found ${describe(value)}`);
  }
  if (value === '' && rule.fallback === undefined) throw badRequest(`${name}: is empty`);
  if (value.length > rule.lengthMax) {
    throw badRequest(`${name}: ${value.length} characters, at most ${rule.lengthMax}`);
  }
  if (/[\u0000-\u001f\u007f]/.test(value))
    throw badRequest(`${name}: contains a control character`);
  if (/\p{Surrogate}/u.test(value)) throw badRequest(`${name}: contains half of a surrogate pair`);
  return value;
}

export function readChoice<Choice extends string>(
  fields: Fields,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  const choice = choices.find((known) => known === value);
  if (choice !== undefined) return choice;
  throw badRequest(`${name}: expected ${choices.join(' or ')}, found ${describe(value)}`);
}

/** The bytes of a base64 text (RFC 4648, with padding), at least one. */
export function readPayload(fields: Fields, name: string): Uint8Array {
  const value = fields[name];
  if (typeof value !== 'string') {
    throw badRequest(`${name}: expected the base64 text of bytes, found ${describe(value)}`);
  }
  if (value === '') throw badRequest(`${name}: is empty`);
  if (value.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(value)) {
    throw badRequest(`${name}: is not base64 (A-Z a-z 0-9 + / with padding)`);
  }
  return Buffer.from(value, 'base64');
}

export function readUids(fields: Fields, name: string, max: number): readonly Uid[] {
  const value = fields[name];
  return value === undefined || value === null ? [] : uidsOf(value, name, max);
}

/** Each once, in the order of their first mention. */
export function uidsOf(value: unknown, name: string, max: number): readonly Uid[] {
  if (!Array.isArray(value)) {
    throw badRequest(`${name}: expected a list of uids, found ${describe(value)}`);
  }
  if (value.length > max)
    throw badRequest(`${name}: ${value.length} uids, at most ${max} in one call`);
  return [...new Set(value.map((item, index) => named(parseUid(item), `${name}[${index}]`)))];
}

/** `channel_id` and `channel_type` of a channel that has settings and subscribers of its own. */
export function readGroupChannel(fields: Fields): ChannelKey {
  const type = readChannelType(fields);
  if (type === PERSON) {
    throw badRequest(
      'channel_type: 1 is a person channel, it follows from its two uids and has no settings or ' +
        'subscribers of its own; expected 2 to 10',
    );
  }
  return readChannelKey(fields, type);
}

export function readChannelType(fields: Fields): number {
  return named(parseChannelType(fields['channel_type']), 'channel_type');
}

export function readChannelKey(fields: Fields, type: number): ChannelKey {
  return named(parseChannelKey(fields['channel_id'], type), 'channel_id');
}

/** The parsers of core name their own word for the field; the caller knows it by another. */
function named<Value>(parsed: Parsed<Value>, name: string): Value {
  if (parsed.ok) return parsed.value;
  throw badRequest(`${name}${parsed.error.slice(parsed.error.indexOf(':'))}`);
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  return typeof value === 'object' ? 'an object' : JSON.stringify(value);
}
