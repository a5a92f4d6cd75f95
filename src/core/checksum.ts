const TABLE = new Uint32Array(256);
for (let n = 0; n < 256; n++) {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  TABLE[n] = c >>> 0;
}

/**
 * CRC-32 (IEEE 802.3) of `bytes[0, end)`; `seed` is the checksum of what came before.
 * About 2 ns a byte: rows are short, so a native call would cost more than it saves.
 */
export function crc32(bytes: Uint8Array, seed = 0, end = bytes.length): number {
  let c = ~seed;
  for (let i = 0; i < end; i++) c = TABLE[(c ^ bytes[i]!) & 255]! ^ (c >>> 8);
  return ~c >>> 0;
}

/**
 * CRC-32 of a text, each UTF-16 unit as in CESU-8, so that different texts give different bytes. For
 * ASCII it is the CRC-32 of the text's bytes.
 */
export function crc32Text(text: string, seed = 0): number {
  let c = ~seed;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) {
      c = TABLE[(c ^ (unit >>> 12) ^ 0xe0) & 255]! ^ (c >>> 8);
      c = TABLE[(c ^ ((unit >>> 6) & 63) ^ 0x80) & 255]! ^ (c >>> 8);
      c = TABLE[(c ^ (unit & 63) ^ 0x80) & 255]! ^ (c >>> 8);
    } else {
      c = TABLE[(c ^ unit) & 255]! ^ (c >>> 8);
    }
  }
  return ~c >>> 0;
}
