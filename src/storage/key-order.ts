/**
 * Compares keys as their UTF-8 bytes do. That is the order of UTF-16 units, except that surrogates
 * (code points from U+10000) come after U+E000..U+FFFF and not before.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? aboveAll(x) - aboveAll(y) : x - y;
  }
  return a.length - b.length;
}

function aboveAll(unit: number): number {
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** The first key after `key`. */
export function keyAfter(key: string): string {
  return `${key}\u0000`;
}
