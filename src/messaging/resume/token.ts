import type { ActorId, Uid } from '../../core/ids.ts';
import { hash32, SHARDS } from '../../core/placement.ts';
import type { ClosedDigest, VectorRow } from '../../core/version-vector.ts';
import { RESUME_TOKEN_LENGTH_MAX } from './port.ts';

/** What a socket had been sent when the token was given. */
export interface TokenContent {
  readonly openRows: readonly VectorRow[];
  readonly closed: ClosedDigest;
}

export type ReadToken =
  | { readonly ok: true; readonly content: TokenContent }
  | { readonly ok: false; readonly reason: 'token-invalid' | 'token-of-another' };

const VERSION = 1;
const CHECK_BYTES = 8;
const ACTOR_BYTES = 8;
const ACTORS_MAX = 256;
const INTERVALS_MAX = 64;

/** Undefined where even without the islands above the bases it would be too long. */
export function encodeTokenBody({ openRows, closed }: TokenContent): Uint8Array | undefined {
  for (const withIslands of [true, false] as const) {
    const body = writeBody(openRows, closed, withIslands ? INTERVALS_MAX : 0);
    if (body && (body.length + 1 + CHECK_BYTES) * (4 / 3) < RESUME_TOKEN_LENGTH_MAX) return body;
  }
  return undefined;
}

/**
 * `owner`: whose token it is and of which cluster. The check is no secret: whoever makes up a token only
 * chooses what of his own channels is sent to him again.
 */
export function sealToken(body: Uint8Array, owner: TokenOwner): string {
  const sealed = Buffer.alloc(1 + CHECK_BYTES + body.length);
  sealed[0] = VERSION;
  sealed.set(body, 1 + CHECK_BYTES);
  writeCheck(sealed, owner);
  return sealed.toString('base64url');
}

export interface TokenOwner {
  readonly uid: Uid;
  readonly lineage: string;
}

/** Never throws, whatever the text is. */
export function readToken(text: string, owner: TokenOwner): ReadToken {
  const invalid = { ok: false, reason: 'token-invalid' } as const;
  if (text.length > RESUME_TOKEN_LENGTH_MAX || !/^[A-Za-z0-9_-]+$/.test(text)) return invalid;
  const sealed = Buffer.from(text, 'base64url');
  if (sealed.length <= 1 + CHECK_BYTES || sealed[0] !== VERSION) return invalid;
  const content = readBody(sealed.subarray(1 + CHECK_BYTES));
  if (!content) return invalid;
  const given = sealed.subarray(1, 1 + CHECK_BYTES).toString('hex');
  writeCheck(sealed, owner);
  const expected = sealed.subarray(1, 1 + CHECK_BYTES).toString('hex');
  return given === expected ? { ok: true, content } : { ok: false, reason: 'token-of-another' };
}

function writeCheck(sealed: Buffer, { uid, lineage }: TokenOwner): void {
  const body = sealed.toString('latin1', 1 + CHECK_BYTES);
  sealed.writeUInt32BE(hash32(`${lineage}\n${uid}\n${body}`), 1);
  sealed.writeUInt32BE(hash32(`${body}\n${uid}\n${lineage}`), 5);
}

function writeBody(
  openRows: readonly VectorRow[],
  closed: ClosedDigest,
  intervalsMax: number,
): Uint8Array | undefined {
  const actors = new Map<ActorId, VectorRow[]>();
  for (const row of openRows) {
    const rows = actors.get(row.actor);
    if (rows) rows.push(row);
    else actors.set(row.actor, [row]);
  }
  if (actors.size > ACTORS_MAX) return undefined;
  const bytes: number[] = [];
  for (const part of [closed.count, closed.low, closed.high, actors.size]) writeNumber(bytes, part);
  for (const [actor, rows] of actors) {
    bytes.push(...Buffer.from(actor, 'hex'));
    writeNumber(bytes, rows.length);
    for (const { shard, base, above } of rows) {
      bytes.push(shard);
      writeNumber(bytes, base);
      const islands = above.slice(0, 2 * intervalsMax);
      writeNumber(bytes, islands.length / 2);
      let last = base;
      for (const bound of islands) {
        writeNumber(bytes, bound - last);
        last = bound;
      }
    }
  }
  return Uint8Array.from(bytes);
}

function readBody(bytes: Uint8Array): TokenContent | undefined {
  const reader = new Reader(bytes);
  const [count, low, high] = [reader.number(), reader.number(), reader.number()];
  const openRows: VectorRow[] = [];
  for (let actors = reader.number(ACTORS_MAX); actors > 0; actors--) {
    const actor = reader.actor();
    let before = -1;
    for (let rows = reader.number(SHARDS); rows > 0; rows--) {
      const shard = reader.number(SHARDS - 1);
      if (shard <= before) return undefined;
      before = shard;
      const base = reader.number();
      const above = reader.islands(base);
      openRows.push({ actor, shard, base, above });
    }
  }
  if (!reader.isDone() || Math.max(low, high) > 0xffff_ffff) return undefined;
  return { openRows, closed: { count, low, high } };
}

/** Seven bits a byte, the lowest first. */
function writeNumber(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
}

/** After anything that does not fit it reads zeros and is never done. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  number(max = Number.MAX_SAFE_INTEGER): number {
    let [value, scale] = [0, 1];
    while (!this.#failed) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined || scale > Number.MAX_SAFE_INTEGER) break;
      value += (byte % 0x80) * scale;
      if (value > max) break;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    this.#failed = true;
    return 0;
  }

  actor(): ActorId {
    const part = this.#bytes.subarray(this.#at, this.#at + ACTOR_BYTES);
    this.#at += ACTOR_BYTES;
    if (part.length < ACTOR_BYTES) this.#failed = true;
    return Buffer.from(part).toString('hex') as ActorId;
  }

  islands(base: number): readonly number[] {
    const above: number[] = [];
    let last = base;
    for (let bounds = 2 * this.number(INTERVALS_MAX); bounds > 0; bounds--) {
      last += this.number();
      // An island begins past what is below it, and is one dot at least.
      const isFirst = above.length % 2 === 0;
      if (!Number.isSafeInteger(last) || (isFirst && last < (above.at(-1) ?? base) + 2)) {
        this.#failed = true;
      }
      above.push(last);
    }
    return above;
  }

  isDone(): boolean {
    return !this.#failed && this.#at === this.#bytes.length;
  }
}
