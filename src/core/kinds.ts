import type { MergePolicy } from './row.ts';

/**
 * A kind is the first letter of its rows' keys. The files of kinds/ say what is in the key and the
 * value; this table says how writes combine, and is the one place to add a kind.
 */
export const KINDS = {
  s: { name: 'subscription', policy: 'observed' },
  d: { name: 'deny', policy: 'observed' },
  t: { name: 'token', policy: 'observed' },
  c: { name: 'channel', policy: 'last' },
  p: { name: 'user', policy: 'last' },
  m: { name: 'message', policy: 'once' },
  i: { name: 'send key', policy: 'all' },
  r: { name: 'cursor', policy: 'peaks' },
  f: { name: 'floor', policy: 'peaks' },
  b: { name: 'connection', policy: 'peaks' },
  g: { name: 'alias', policy: 'once' },
} as const satisfies Record<string, { readonly name: string; readonly policy: MergePolicy }>;

export type Kind = keyof typeof KINDS;

export function kindOf(key: string): Kind | undefined {
  const letter = key[0]!;
  return Object.hasOwn(KINDS, letter) ? (letter as Kind) : undefined;
}
