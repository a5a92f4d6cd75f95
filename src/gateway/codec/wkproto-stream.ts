import { WK } from './wkproto.ts';
import { WkProtoError } from './wkproto-bytes.ts';

const LENGTH_BYTES_MAX = 4;
const NOTHING = new Uint8Array(0);

/** A packet over the limit: the connection is closed with 1009 and not 1008. */
export class WkPacketTooLarge extends WkProtoError {}

/**
 * Cuts the bytes of WebSocket messages into packets: several or a part of one may come in each.
 * What is
 * left over waits for the next message; it is never longer than the limit of one packet.
 */
export class WkStream {
  readonly #packetBytesMax: number;
  #left: Uint8Array = NOTHING;

  constructor(packetBytesMax: number) {
    this.#packetBytesMax = packetBytesMax;
  }

  /** Bytes of an unfinished packet. */
  get waitingBytes(): number {
    return this.#left.length;
  }

  /**
   * Calls `onPacket` with the first byte and the body of each packet that is now whole, until it
   * returns false. Bodies are only valid during the call. Throws `WkProtoError` where a length is
   * no
   * length, `WkPacketTooLarge` as soon as one is over the limit.
   */
  push(bytes: Uint8Array, onPacket: (first: number, body: Uint8Array) => boolean): void {
    const all = this.#left.length === 0 ? bytes : Buffer.concat([this.#left, bytes]);
    let at = 0;
    this.#left = NOTHING;
    while (at < all.length) {
      const header = this.#header(all, at);
      if (!header || header.end > all.length) break;
      const body = all.subarray(header.start, header.end);
      const first = all[at]!;
      at = header.end;
      if (!onPacket(first, body)) return;
    }
    if (at < all.length) this.#left = Uint8Array.prototype.slice.call(all, at);
  }

  /** Where the body at `at` starts and ends; undefined while its length is not whole. */
  #header(
    bytes: Uint8Array,
    at: number,
  ): { readonly start: number; readonly end: number } | undefined {
    const type = bytes[at]! >> 4;
    if (type === WK.ping || type === WK.pong) return { start: at + 1, end: at + 1 };
    let length = 0;
    for (let i = 0; i < LENGTH_BYTES_MAX; i++) {
      const byte = bytes[at + 1 + i];
      if (byte === undefined) return undefined;
      length |= (byte & 0x7f) << (7 * i);
      if (length > this.#packetBytesMax) {
        throw new WkPacketTooLarge(`packet of ${length} bytes, at most ${this.#packetBytesMax}`);
      }
      if (byte < 0x80) return { start: at + 2 + i, end: at + 2 + i + length };
    }
    throw new WkProtoError('a length of more than 4 bytes');
  }
}
