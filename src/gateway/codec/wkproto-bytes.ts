/** Thrown where a packet ends before its fields do, or has a field of the wrong form. */
export class WkProtoError extends Error {
  readonly code = 'ERR_WKPROTO';
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A CONNECT of a version that is not spoken here: nothing behind its number can be read. */
export class WkVersionError extends WkProtoError {}

/** Reads the fields of one packet, big-endian; throws `WkProtoError` at any read past the end. */
export class WkReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(8));
  }

  i32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  i64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  string(lengthMax: number): string {
    const length = this.#bytes.readUInt16BE(this.#take(2));
    const from = this.#take(length);
    if (length > lengthMax)
      throw new WkProtoError(`a string of ${length} bytes, at most ${lengthMax}`);
    try {
      return utf8.decode(this.#bytes.subarray(from, from + length));
    } catch (cause) {
      throw new WkProtoError('a string is not UTF-8', { cause });
    }
  }

  /** A copy: the frame's bytes are only valid during the call. */
  rest(): Buffer {
    const from = this.#at;
    this.#at = this.#bytes.length;
    return Buffer.from(this.#bytes.subarray(from));
  }

  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw new WkProtoError(`${left} bytes after the last field`);
  }

  #take(length: number): number {
    const from = this.#at;
    if (from + length > this.#bytes.length) {
      throw new WkProtoError(
        `ends at byte ${this.#bytes.length}, a field of ${length} starts at ${from}`,
      );
    }
    this.#at = from + length;
    return from;
  }
}

/** Collects the fields of one packet and puts the header with its length before them. */
export class WkWriter {
  readonly #parts: Buffer[] = [];
  #length = 0;

  u8(value: number): this {
    return this.#push(Buffer.of(value));
  }

  u32(value: number): this {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeUInt32BE(value >>> 0);
    return this.#push(bytes);
  }

  u64(value: bigint): this {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeBigUInt64BE(BigInt.asUintN(64, value));
    return this.#push(bytes);
  }

  string(text: string): this {
    const bytes = Buffer.from(text);
    if (bytes.length > 0xffff) throw new WkProtoError(`a string of ${bytes.length} bytes`);
    this.#push(Buffer.of(bytes.length >>> 8, bytes.length & 0xff));
    return this.#push(bytes);
  }

  bytes(bytes: Uint8Array): this {
    return this.#push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  packet(firstByte: number): Buffer {
    const header = [firstByte];
    let left = this.#length;
    do {
      header.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
      left >>>= 7;
    } while (left > 0);
    return Buffer.concat([Buffer.from(header), ...this.#parts], header.length + this.#length);
  }

  #push(bytes: Buffer): this {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    return this;
  }
}
