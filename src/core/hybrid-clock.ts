/**
 * Hybrid logical clock (Kulkarni et al., 2014) in one number: milliseconds × 1024 + a logical part
 * that simply carries over. It is shown to people and decides only between last-writer values.
 */
export type Hlc = number;

const TICKS_PER_MS = 1024;

export function nextHlc(last: Hlc, wallMs: number): Hlc {
  return Math.max(last + 1, Math.floor(wallMs) * TICKS_PER_MS);
}

export function hlcToMs(hlc: Hlc): number {
  return Math.floor(hlc / TICKS_PER_MS);
}
