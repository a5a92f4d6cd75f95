import { crc32, deflateSync } from 'node:zlib';
import type { Matrix } from './matrix.ts';

/** Light modules around a code, without which readers do not find it. */
const QUIET = 4;
const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

/** Two modules a character, for a terminal; dark is what the terminal does not light up. */
export function qrText(matrix: Matrix): string {
  const lines: string[] = [];
  const isLight = (x: number, y: number): boolean => !isDarkAt(matrix, x, y);
  for (let y = -QUIET; y < matrix.size + QUIET; y += 2) {
    let line = '';
    for (let x = -QUIET; x < matrix.size + QUIET; x++) {
      const [top, bottom] = [isLight(x, y), isLight(x, y + 1)];
      line += top ? (bottom ? '█' : '▀') : bottom ? '▄' : ' ';
    }
    lines.push(line);
  }
  return lines.join('\n');
}

/** A PNG in black and white, `scale` pixels a module. */
export function qrPng(matrix: Matrix, scale = 8): Buffer {
  const side = (matrix.size + 2 * QUIET) * scale;
  const stride = Math.ceil(side / 8) + 1;
  const rows = Buffer.alloc(stride * side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const [mx, my] = [x, y].map((at) => Math.floor(at / scale) - QUIET);
      if (!isDarkAt(matrix, mx!, my!)) rows[y * stride + 1 + (x >>> 3)]! |= 128 >>> (x & 7);
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  // One bit a pixel, shades of grey.
  head[8] = 1;
  const parts = [chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND')];
  return Buffer.concat([SIGNATURE, ...parts]);
}

function isDarkAt(matrix: Matrix, x: number, y: number): boolean {
  const isInside = x >= 0 && y >= 0 && x < matrix.size && y < matrix.size;
  return isInside && matrix.isDark(x, y);
}

function chunk(type: string, data: Uint8Array = new Uint8Array(0)): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(body.length + 8);
  frame.writeUInt32BE(data.length, 0);
  body.copy(frame, 4);
  frame.writeUInt32BE(crc32(body), body.length + 4);
  return frame;
}
