export interface BackoffOptions {
  readonly backoffMinMs?: number | undefined;
  readonly backoffMaxMs?: number | undefined;
  /** A connection that lasted this long makes the backoff start again. */
  readonly stableMs?: number | undefined;
}

/** Exponential with full jitter: clients that fell off together do not come back together. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #stableMs: number;
  #failures = 0;

  constructor({ backoffMinMs, backoffMaxMs, stableMs }: BackoffOptions) {
    this.#minMs = backoffMinMs ?? 1_000;
    this.#maxMs = backoffMaxMs ?? 30_000;
    this.#stableMs = stableMs ?? 60_000;
  }

  /** `connectedMs`: how long it was connected, 0 for not at all. `random`: from 0 to below 1. */
  waitMs(connectedMs: number, random: number): number {
    this.#failures = connectedMs >= this.#stableMs ? 1 : this.#failures + 1;
    // More doublings than these overflow nothing and change nothing.
    const doublings = Math.min(this.#failures - 1, 20);
    return random * Math.min(this.#maxMs, this.#minMs * 2 ** doublings);
  }
}
