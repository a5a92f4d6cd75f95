import { inflateSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { BLOCKS, countBits, encodeQr, QR_BYTES_MAX } from '../../../src/admin/qr/encode.ts';
import { dataPlaces, drawPatterns, MASKS, type Matrix } from '../../../src/admin/qr/matrix.ts';
import { multiply } from '../../../src/admin/qr/reed-solomon.ts';
import { qrPng, qrText } from '../../../src/admin/qr/show.ts';

/** Reads a code as a reader does, but for finding and correcting it. Throws where something does not fit. */
function decode(matrix: Matrix): string {
  const version = (matrix.size - 17) / 4;
  const blank = drawPatterns(version);
  // Format, from its first copy: five bits of level and mask, of which level M is 00.
  const places = [0, 1, 2, 3, 4, 5, 7, 8].map((y) => [8, y] as const);
  const row = [7, 5, 4, 3, 2, 1, 0].map((x) => [x, 8] as const);
  const format = [...places, ...row].reduce(
    (bits, [x, y], i) => bits | (Number(matrix.isDark(x, y)) << i),
    0,
  );
  const head = (format ^ 0x5412) >>> 10;
  if (head >= 8) throw new Error(`level ${head >>> 3}, not M`);
  const flips = MASKS[head]!;
  const bytes: number[] = [];
  let at = 0;
  for (const [x, y] of dataPlaces(blank)) {
    const bit = Number(matrix.isDark(x, y)) ^ Number(flips(x, y));
    bytes[at >>> 3] = (bytes[at >>> 3] ?? 0) | (bit << (7 - (at & 7)));
    at += 1;
  }
  const { check, data } = BLOCKS[version - 1]!;
  const blocks = data.map((): number[] => []);
  let next = 0;
  for (let i = 0; i < Math.max(...data); i++) {
    for (const [b, length] of data.entries()) if (i < length) blocks[b]!.push(bytes[next++]!);
  }
  const whole = blocks.map((block) => [...block]);
  for (let i = 0; i < check; i++) for (const block of whole) block.push(bytes[next++]!);
  for (const block of whole) {
    for (let root = 0, alpha = 1; root < check; root++, alpha = multiply(alpha, 2)) {
      const syndrome = block.reduce((value, byte) => multiply(value, alpha) ^ byte, 0);
      if (syndrome !== 0) throw new Error('the correction does not fit');
    }
  }
  return textOf(blocks.flat(), version);
}

function textOf(stream: readonly number[], version: number): string {
  let at = 0;
  const take = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++, at++) {
      value = (value << 1) | ((stream[at >>> 3]! >>> (7 - (at & 7))) & 1);
    }
    return value;
  };
  if (take(4) !== 4) throw new Error('not in byte mode');
  const length = take(countBits(version));
  return Buffer.from(Array.from({ length }, () => take(8))).toString();
}

test('a QR code holds its text, in the smallest of ten versions', (t) => {
  for (const length of [0, 1, 14, 15, 26, 42, 62, 84, 106, 122, 152, 180, 213]) {
    const text = 'x'.repeat(length);
    t.is(decode(encodeQr(text)!), text);
  }
  t.is(encodeQr('x'.repeat(14))!.size, 21);
  t.is(encodeQr('x'.repeat(15))!.size, 25);
  t.is(encodeQr('x'.repeat(QR_BYTES_MAX))!.size, 57);
  t.is(encodeQr('x'.repeat(QR_BYTES_MAX + 1)), undefined);
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
      const matrix = encodeQr(text);
      return !matrix || decode(matrix) === text;
    }),
    { numRuns: 50 },
  );
});

test('the picture and the text of a code show its modules', (t) => {
  const matrix = encodeQr('holdfast-pair:bot:abcdefgh')!;
  const png = qrPng(matrix, 3);
  t.is(png.subarray(1, 4).toString(), 'PNG');
  const side = png.readUInt32BE(16);
  t.is(side, (matrix.size + 8) * 3);
  const length = png.readUInt32BE(33);
  const rows = inflateSync(png.subarray(41, 41 + length));
  const stride = Math.ceil(side / 8) + 1;
  const lines = qrText(matrix).split('\n');
  for (let y = 0; y < matrix.size; y++) {
    for (let x = 0; x < matrix.size; x++) {
      const [px, py] = [(x + 4) * 3 + 1, (y + 4) * 3 + 1];
      const isLight = (rows[py * stride + 1 + (px >>> 3)]! >>> (7 - (px & 7))) & 1;
      t.is(isLight === 0, matrix.isDark(x, y));
      const shown = lines[(y + 4) >>> 1]!.charAt(x + 4);
      t.is(!'█'.concat((y & 1) === 0 ? '▀' : '▄').includes(shown), matrix.isDark(x, y));
    }
  }
});
