/** Arithmetic in GF(256) with x⁸ + x⁴ + x³ + x² + 1, as QR codes use it. */
const EXP = new Uint8Array(512);
const LOG = new Uint8Array(256);

for (let power = 0, value = 1; power < 255; power++) {
  EXP[power] = value;
  EXP[power + 255] = value;
  LOG[value] = power;
  value = value & 128 ? (value << 1) ^ 0x11d : value << 1;
}

export function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : EXP[LOG[a]! + LOG[b]!]!;
}

/** The remainder of data · xⁿ divided by (x − α⁰) … (x − αⁿ⁻¹): `count` bytes. */
export function correction(data: Uint8Array, count: number): Uint8Array {
  const generator = generatorOf(count);
  const rest = new Uint8Array(count);
  for (const byte of data) {
    const factor = byte ^ rest[0]!;
    rest.copyWithin(0, 1);
    rest[count - 1] = 0;
    for (let i = 0; i < count; i++) rest[i]! ^= multiply(generator[i]!, factor);
  }
  return rest;
}

/** Without its leading 1, highest power first. */
function generatorOf(degree: number): Uint8Array {
  const result = new Uint8Array(degree);
  result[degree - 1] = 1;
  for (let root = 0; root < degree; root++) {
    for (let i = 0; i < degree; i++) {
      result[i] = multiply(result[i]!, EXP[root]!) ^ (result[i + 1] ?? 0);
    }
  }
  return result;
}
