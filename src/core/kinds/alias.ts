import type { Row } from '../row.ts';

/**
 * Kind `g`, key (space, number): the name that a number stands for where names have to be numbers. Written
 * once: what a bot has been told keeps its meaning.
 */
export function encodeAlias(name: string): Uint8Array {
  return new TextEncoder().encode(name);
}

export function aliasOf(row: Row): string | undefined {
  return row[0] && new TextDecoder().decode(row[0].value);
}
