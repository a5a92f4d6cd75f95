import { dataPlaces, drawFormat, drawPatterns, MASKS, type Matrix } from './matrix.ts';
import { correction } from './reed-solomon.ts';

/** Level M, versions 1 to 10: bytes of correction in each block, and the bytes of data of its blocks. */
export const BLOCKS: readonly { readonly check: number; readonly data: readonly number[] }[] = [
  { check: 10, data: [16] },
  { check: 16, data: [28] },
  { check: 26, data: [44] },
  { check: 18, data: [32, 32] },
  { check: 24, data: [43, 43] },
  { check: 16, data: [27, 27, 27, 27] },
  { check: 18, data: [31, 31, 31, 31] },
  { check: 22, data: [38, 38, 39, 39] },
  { check: 22, data: [36, 36, 36, 37, 37] },
  { check: 26, data: [43, 43, 43, 43, 44] },
];

/** What the largest code holds. Bytes of UTF-8. */
export const QR_BYTES_MAX = 213;
const BYTE_MODE = 4;

/**
 * The smallest QR code (ISO/IEC 18004, byte mode, level M) of the text; undefined where it is longer than
 * `QR_BYTES_MAX`. About 5 ms for the largest.
 */
export function encodeQr(text: string): Matrix | undefined {
  const bytes = new TextEncoder().encode(text);
  const index = BLOCKS.findIndex(
    ({ data }, i) => bytes.length * 8 + 4 + countBits(i + 1) <= sum(data) * 8,
  );
  if (index < 0) return undefined;
  const version = index + 1;
  const stream = interleave(dataOf(bytes, version), version);
  let best: { readonly matrix: Matrix; readonly penalty: number } | undefined;
  for (const mask of MASKS.keys()) {
    const matrix = draw(stream, version, mask);
    const penalty = penaltyOf(matrix);
    if (!best || penalty < best.penalty) best = { matrix, penalty };
  }
  return best!.matrix;
}

export function countBits(version: number): number {
  return version < 10 ? 8 : 16;
}

/** Mode, length, bytes, end and padding. */
function dataOf(bytes: Uint8Array, version: number): Uint8Array {
  const data = new Uint8Array(sum(BLOCKS[version - 1]!.data));
  let at = 0;
  const put = (value: number, bits: number): void => {
    for (let i = bits - 1; i >= 0; i--, at++) {
      data[at >>> 3]! |= ((value >>> i) & 1) << (7 - (at & 7));
    }
  };
  put(BYTE_MODE, 4);
  put(bytes.length, countBits(version));
  for (const byte of bytes) put(byte, 8);
  at += Math.min(4, data.length * 8 - at);
  for (let i = Math.ceil(at / 8), odd = 0; i < data.length; i++, odd ^= 1) {
    data[i] = odd ? 0x11 : 0xec;
  }
  return data;
}

function interleave(data: Uint8Array, version: number): Uint8Array {
  const { check, data: lengths } = BLOCKS[version - 1]!;
  let from = 0;
  const blocks = lengths.map((length) => data.subarray(from, (from += length)));
  const checks = blocks.map((block) => correction(block, check));
  const longest = Math.max(...lengths);
  const stream: number[] = [];
  for (let i = 0; i < longest; i++) {
    for (const block of blocks) if (i < block.length) stream.push(block[i]!);
  }
  for (let i = 0; i < check; i++) for (const block of checks) stream.push(block[i]!);
  return Uint8Array.from(stream);
}

function draw(stream: Uint8Array, version: number, mask: number): Matrix {
  const matrix = drawPatterns(version);
  const flips = MASKS[mask]!;
  let at = 0;
  for (const [x, y] of dataPlaces(matrix)) {
    // Some modules are left over at the end.
    const bit = at < stream.length * 8 ? (stream[at >>> 3]! >>> (7 - (at & 7))) & 1 : 0;
    matrix.set(x, y, bit ^ (flips(x, y) ? 1 : 0));
    at += 1;
  }
  drawFormat(matrix, mask);
  return matrix;
}

/** The standard's four rules for codes that are hard to read. */
function penaltyOf(matrix: Matrix): number {
  const { size } = matrix;
  const line = (at: (i: number) => boolean): number => {
    const text = Array.from({ length: size }, (_, i) => (at(i) ? '1' : '0')).join('');
    const runs = text.match(/0{5,}|1{5,}/g) ?? [];
    const finders = text.match(/(?=00001011101|10111010000)/g) ?? [];
    return runs.reduce((total, run) => total + run.length - 2, 0) + finders.length * 40;
  };
  let [penalty, dark] = [0, 0];
  for (let a = 0; a < size; a++) {
    penalty += line((i) => matrix.isDark(i, a)) + line((i) => matrix.isDark(a, i));
    for (let b = 0; b < size; b++) {
      const here = matrix.isDark(a, b);
      if (here) dark += 1;
      const isEdge = a + 1 >= size || b + 1 >= size;
      const square = [
        matrix.isDark(a + 1, b),
        matrix.isDark(a, b + 1),
        matrix.isDark(a + 1, b + 1),
      ];
      if (!isEdge && square.every((other) => other === here)) penalty += 3;
    }
  }
  return penalty + Math.floor(Math.abs((dark * 100) / (size * size) - 50) / 5) * 10;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
