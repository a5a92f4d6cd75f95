/** Black and white modules of a QR code, and which of them belong to its fixed patterns. */
export class Matrix {
  readonly size: number;
  readonly #dark: Uint8Array;
  readonly #fixed: Uint8Array;

  constructor(size: number) {
    this.size = size;
    this.#dark = new Uint8Array(size * size);
    this.#fixed = new Uint8Array(size * size);
  }

  isDark(x: number, y: number): boolean {
    return this.#dark[y * this.size + x] === 1;
  }

  isFixed(x: number, y: number): boolean {
    return this.#fixed[y * this.size + x] === 1;
  }

  set(x: number, y: number, dark: number): void {
    this.#dark[y * this.size + x] = dark & 1;
  }

  fix(x: number, y: number, dark: number): void {
    this.set(x, y, dark);
    this.#fixed[y * this.size + x] = 1;
  }

  flip(x: number, y: number): void {
    this.#dark[y * this.size + x]! ^= 1;
  }
}

/** Centres of the alignment patterns, by version from 1 to 10. */
const CENTRES: readonly (readonly number[])[] = [
  ...[[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34]],
  ...[
    [6, 22, 38],
    [6, 24, 42],
    [6, 26, 46],
    [6, 28, 50],
  ],
];

/** Finders, timing, alignment and version of ISO/IEC 18004, and room for the format. */
export function drawPatterns(version: number): Matrix {
  const matrix = new Matrix(version * 4 + 17);
  const { size } = matrix;
  for (let i = 0; i < size; i++) {
    matrix.fix(6, i, i + 1);
    matrix.fix(i, 6, i + 1);
  }
  for (const [x, y] of [
    [3, 3],
    [size - 4, 3],
    [3, size - 4],
  ] as const) {
    drawFinder(matrix, x, y);
  }
  const centres = CENTRES[version - 1]!;
  const last = centres.length - 1;
  for (const [i, x] of centres.entries()) {
    for (const [j, y] of centres.entries()) {
      // Where the finders are there is none.
      const isCorner = (i === 0 && (j === 0 || j === last)) || (i === last && j === 0);
      if (!isCorner) drawAlignment(matrix, x, y);
    }
  }
  drawFormat(matrix, 0);
  if (version >= 7) drawVersion(matrix, version);
  return matrix;
}

function drawFinder(matrix: Matrix, x: number, y: number): void {
  for (let dy = -4; dy <= 4; dy++) {
    for (let dx = -4; dx <= 4; dx++) {
      const far = Math.max(Math.abs(dx), Math.abs(dy));
      const isInside = [x + dx, y + dy].every((at) => at >= 0 && at < matrix.size);
      if (isInside) matrix.fix(x + dx, y + dy, far === 2 || far === 4 ? 0 : 1);
    }
  }
}

function drawAlignment(matrix: Matrix, x: number, y: number): void {
  for (let dy = -2; dy <= 2; dy++) {
    for (let dx = -2; dx <= 2; dx++) {
      matrix.fix(x + dx, y + dy, Math.max(Math.abs(dx), Math.abs(dy)) === 1 ? 0 : 1);
    }
  }
}

/** Level M and the mask, twice. */
export function drawFormat(matrix: Matrix, mask: number): void {
  const bits = ((mask << 10) | remainder(mask, 10, 0x537)) ^ 0x5412;
  const { size } = matrix;
  const bit = (i: number): number => (bits >>> i) & 1;
  for (let i = 0; i <= 5; i++) matrix.fix(8, i, bit(i));
  matrix.fix(8, 7, bit(6));
  matrix.fix(8, 8, bit(7));
  matrix.fix(7, 8, bit(8));
  for (let i = 9; i < 15; i++) matrix.fix(14 - i, 8, bit(i));
  for (let i = 0; i < 8; i++) matrix.fix(size - 1 - i, 8, bit(i));
  for (let i = 8; i < 15; i++) matrix.fix(8, size - 15 + i, bit(i));
  matrix.fix(8, size - 8, 1);
}

function drawVersion(matrix: Matrix, version: number): void {
  const bits = (version << 12) | remainder(version, 12, 0x1f25);
  for (let i = 0; i < 18; i++) {
    const [far, near] = [matrix.size - 11 + (i % 3), Math.floor(i / 3)];
    matrix.fix(far, near, bits >>> i);
    matrix.fix(near, far, bits >>> i);
  }
}

/** Of value · 2^bits divided by the generator, over GF(2). */
function remainder(value: number, bits: number, generator: number): number {
  let rest = value;
  for (let i = 0; i < bits; i++) rest = (rest << 1) ^ ((rest >>> (bits - 1)) * generator);
  return rest & ((1 << bits) - 1);
}

/** Every place of data, in the order in which its bits lie. */
export function* dataPlaces(matrix: Matrix): Generator<readonly [number, number]> {
  const { size } = matrix;
  for (let right = size - 1; right >= 1; right -= 2) {
    // The column of the timing pattern is left out.
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      const isUpwards = ((right + 1) & 2) === 0;
      const y = isUpwards ? size - 1 - step : step;
      for (const x of [right, right - 1]) if (!matrix.isFixed(x, y)) yield [x, y];
    }
  }
}

export const MASKS: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_x, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];
