import type { ActorId } from '../core/ids.ts';

/** Bytes of a varint of any safe integer. */
export const VARINT_BYTES_MAX = 8;
export const ACTOR_BYTES = 8;
export const UINT56_BYTES = 7;

const SCRATCH_BYTES = 64 * 1024;
/** Rows up to this size are cut from a shared slab: an allocation of their own costs more than they do. */
const SLAB_ROW_BYTES_MAX = 1024;
const SLAB_BYTES = 64 * 1024;

/**
 * Writes rows into one scratch buffer that is used again for every row; `take` copies out. A caller
 * reserves an upper bound first, so the writes themselves check nothing.
 */
export class RowWriter {
  bytes = new Uint8Array(SCRATCH_BYTES);
  at = 0;
  #slab = new Uint8Array(0);
  #slabAt = 0;

  /** Starts a row of at most `bytesMax`. A buffer that one huge row needed is not kept. */
  begin(bytesMax: number): void {
    this.at = 0;
    if (bytesMax > this.bytes.length) this.bytes = new Uint8Array(bytesMax);
    else if (bytesMax <= SCRATCH_BYTES && this.bytes.length > SCRATCH_BYTES) {
      this.bytes = new Uint8Array(SCRATCH_BYTES);
    }
  }

  uint8(value: number): void {
    this.bytes[this.at++] = value;
  }

  /** Seven bits a byte, lowest first. */
  varint(value: number): void {
    let rest = value;
    if ((rest | 0) !== rest || rest < 0) {
      if (!Number.isSafeInteger(rest) || rest < 0) throw notStorable(value);
      while (rest > 0x7fffffff) {
        this.bytes[this.at++] = (rest % 128) | 128;
        rest = Math.floor(rest / 128);
      }
    }
    while (rest > 127) {
      this.bytes[this.at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.bytes[this.at++] = rest;
  }

  uint32(value: number): void {
    const { bytes, at } = this;
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
    bytes[at + 2] = value >>> 16;
    bytes[at + 3] = value >>> 24;
    this.at = at + 4;
  }

  uint56(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw notStorable(value);
    const high = Math.floor(value / 0x1_0000_0000);
    this.uint32(value >>> 0);
    this.bytes[this.at++] = high;
    this.bytes[this.at++] = high >>> 8;
    this.bytes[this.at++] = high >>> 16;
  }

  actor(actor: ActorId): void {
    const { bytes, at } = this;
    for (let i = 0; i < ACTOR_BYTES; i++) {
      bytes[at + i] =
        (DIGIT[actor.charCodeAt(2 * i) & 127]! << 4) | DIGIT[actor.charCodeAt(2 * i + 1) & 127]!;
    }
    this.at = at + ACTOR_BYTES;
  }

  blob(value: Uint8Array): void {
    const { bytes, at } = this;
    if (value.length > 64) bytes.set(value, at);
    else for (let i = 0; i < value.length; i++) bytes[at + i] = value[i]!;
    this.at = at + value.length;
  }

  /** Never written again; rows of one slab are written to disk together, so it is not kept for long. */
  take(): Uint8Array {
    const { bytes, at } = this;
    if (at > SLAB_ROW_BYTES_MAX) return bytes.slice(0, at);
    if (this.#slabAt + at > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#slabAt = 0;
    }
    const from = this.#slabAt;
    this.#slabAt = from + at;
    this.#slab.set(bytes.subarray(0, at), from);
    return this.#slab.subarray(from, from + at);
  }
}

/** Reads one row. Past its end every read gives 0 and `bad` stays set: checked once, at the end. */
export class RowReader {
  bytes: Uint8Array = EMPTY;
  at = 0;
  end = 0;
  bad = false;

  begin(bytes: Uint8Array, end: number): void {
    this.bytes = bytes;
    this.at = 0;
    this.end = end;
    this.bad = false;
  }

  uint8(): number {
    if (this.at >= this.end) return this.#fail();
    return this.bytes[this.at++]!;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      if (this.at >= this.end) return this.#fail();
      const byte = this.bytes[this.at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value <= Number.MAX_SAFE_INTEGER ? value : this.#fail();
      scale *= 128;
    }
    return this.#fail();
  }

  uint32(): number {
    if (this.end - this.at < 4) return this.#fail();
    const { bytes, at } = this;
    this.at = at + 4;
    return uint32At(bytes, at);
  }

  uint56(): number {
    if (this.end - this.at < UINT56_BYTES) return this.#fail();
    const { bytes, at } = this;
    this.at = at + UINT56_BYTES;
    const low = uint32At(bytes, at);
    const high = bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16);
    const value = high * 0x1_0000_0000 + low;
    return value <= Number.MAX_SAFE_INTEGER ? value : this.#fail();
  }

  actor(): ActorId {
    if (this.end - this.at < ACTOR_BYTES) {
      this.#fail();
      return '' as ActorId;
    }
    const at = this.at;
    this.at = at + ACTOR_BYTES;
    return actorAt(this.bytes, at);
  }

  /** A copy: the row's buffer may be used again, and a short value must not keep a long row. */
  blob(length: number): Uint8Array {
    if (length > this.end - this.at) {
      this.#fail();
      return EMPTY;
    }
    if (length === 0) return EMPTY;
    const copy = new Uint8Array(length);
    const { bytes, at } = this;
    if (length > 64) copy.set(bytes.subarray(at, at + length));
    else for (let i = 0; i < length; i++) copy[i] = bytes[at + i]!;
    this.at = at + length;
    return copy;
  }

  #fail(): number {
    this.bad = true;
    this.at = this.end;
    return 0;
  }
}

export function uint32At(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  );
}

const EMPTY = new Uint8Array(0);

const DIGIT = new Uint8Array(128);
for (let digit = 0; digit < 16; digit++) DIGIT[digit.toString(16).charCodeAt(0)] = digit;

/**
 * Actors are few and are read all the time: the same string for the same actor spares its making, and
 * makes comparing actors a comparison of pointers.
 */
const SLOTS = 256;
const slotHigh = new Uint32Array(SLOTS);
const slotLow = new Uint32Array(SLOTS);
const slotActor: (ActorId | undefined)[] = Array.from({ length: SLOTS });

function actorAt(bytes: Uint8Array, at: number): ActorId {
  const low = uint32At(bytes, at);
  const high = uint32At(bytes, at + 4);
  const slot = (low ^ high) & (SLOTS - 1);
  const known = slotActor[slot];
  if (known !== undefined && slotLow[slot] === low && slotHigh[slot] === high) return known;
  let text = '';
  for (let i = 0; i < ACTOR_BYTES; i++) text += bytes[at + i]!.toString(16).padStart(2, '0');
  slotLow[slot] = low;
  slotHigh[slot] = high;
  slotActor[slot] = text as ActorId;
  return text as ActorId;
}

function notStorable(value: number): RangeError {
  return new RangeError(`expected an integer from 0 to 2^53 - 1, found ${value}`);
}
