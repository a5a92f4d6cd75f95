/** A second's worth of allowance twice over is what may come at once. */
const BURST_SECONDS = 2;

/** Tokens of a bucket that has been left alone for `elapsedMs`. A rate of 0 means no limit. */
export function refill(tokens: number, perSecond: number, elapsedMs: number): number {
  const full = perSecond * BURST_SECONDS;
  return Math.min(full, tokens + (elapsedMs * perSecond) / 1000);
}

export function fullBucket(perSecond: number): number {
  return perSecond * BURST_SECONDS;
}
