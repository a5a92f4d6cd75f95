import { parseActorId, parseMemberId, type ActorId, type MemberId } from '../../core/ids.ts';
import { kindOf } from '../../core/kinds.ts';
import { SHARDS } from '../../core/placement.ts';
import { SEPARATOR, type RowKey } from '../../core/row-key.ts';

/** What is wrong with a message, and at which field; never leaves the codec. */
export class Malformed extends Error {}

const KEY_LENGTH_MAX = 4_096;
const HEX = '0123456789abcdef';

/**
 * Reads the fields of one message, which is one flat array: nothing is nested, so nothing in a
 * message can be deeper or longer than its bytes are. Each method takes the next field or throws
 * `Malformed`.
 */
export class Fields {
  readonly #fields: readonly unknown[];
  #at = 0;
  /** The same actor comes again and again; it is checked once. */
  #actor = '';

  constructor(fields: readonly unknown[]) {
    this.#fields = fields;
  }

  /** A whole number from `min` to `max`. */
  integer(what: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const found = this.#fields[this.#at++];
    if (typeof found === 'number' && found >= min && found <= max && Number.isInteger(found)) {
      return found;
    }
    return this.fail(what, `expected a whole number ${min}..${max}`, found);
  }

  /** Takes the next field where it is this one. */
  takes(expected: number): boolean {
    if (this.#fields[this.#at] !== expected) return false;
    this.#at += 1;
    return true;
  }

  /** How many of something follow, of which each takes at least `fieldsEach` fields. */
  count(what: string, fieldsEach: number): number {
    const left = this.#fields.length - this.#at - 1;
    return this.integer(what, 0, Math.floor(Math.max(left, 0) / fieldsEach));
  }

  flag(what: string): boolean {
    const found = this.#fields[this.#at++];
    if (typeof found === 'boolean') return found;
    return this.fail(what, 'expected true or false', found);
  }

  text(what: string, lengthMax: number): string {
    const found = this.#fields[this.#at++];
    if (typeof found === 'string' && found.length <= lengthMax) return found;
    return this.fail(what, `expected a text of at most ${lengthMax} characters`, found);
  }

  /** A view on the bytes of the frame, not a copy. */
  bytes(what: string): Uint8Array {
    const found = this.#fields[this.#at++];
    if (found instanceof Uint8Array) return found;
    return this.fail(what, 'expected bytes', found);
  }

  actor(): ActorId {
    const found = this.#fields[this.#at++];
    if (found === this.#actor && found !== '') return found as ActorId;
    const parsed = parseActorId(found);
    if (!parsed.ok) return this.fail('actor', parsed.error, found);
    this.#actor = parsed.value;
    return parsed.value;
  }

  member(): MemberId {
    const parsed = parseMemberId(this.#fields[this.#at++]);
    return parsed.ok ? parsed.value : this.fail('member', parsed.error, undefined);
  }

  shard(): number {
    return this.integer('shard', 0, SHARDS - 1);
  }

  /** A row key of a known kind in this shard. */
  key(shard: number): RowKey {
    const found = this.#fields[this.#at++];
    if (
      typeof found === 'string' &&
      found.length <= KEY_LENGTH_MAX &&
      found[2] === SEPARATOR &&
      found[1] === HEX[shard] &&
      kindOf(found)
    ) {
      return found as RowKey;
    }
    return this.fail('key', `expected a row key of shard ${shard}`, found);
  }

  /** One of these. */
  oneOf<Choice extends string>(what: string, choices: readonly Choice[]): Choice {
    const found = this.#fields[this.#at++];
    const choice = choices.find((each) => each === found);
    return choice ?? this.fail(what, `expected one of ${choices.join(', ')}`, found);
  }

  optional<Value>(read: () => Value): Value | undefined {
    if (this.#fields[this.#at] !== null) return read();
    this.#at++;
    return undefined;
  }

  end(): void {
    const left = this.#fields.length - this.#at;
    if (left > 0) throw new Malformed(`${left} fields more than expected`);
    if (left < 0) throw new Malformed(`${-left} fields are missing`);
  }

  /** `found` is described, never quoted: it may be what users say. */
  fail(what: string, expected: string, found?: unknown): never {
    const end = this.#at > this.#fields.length;
    const kind = end ? 'the end' : typeof found === 'number' ? String(found) : typeof found;
    throw new Malformed(`field ${this.#at} (${what}): ${expected}, found ${kind}`);
  }
}
