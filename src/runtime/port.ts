/** The only sources of time and chance; the simulator brings its own of each. */
export interface Clock {
  /** Wall clock, milliseconds since 1970; may step either way. */
  wallMs(): number;
  /** Never goes back; for intervals and deadlines. Milliseconds. */
  monotonicMs(): number;
}

export interface Random {
  bytes(length: number): Uint8Array;
  /** Uniform in [0, 1). */
  fraction(): number;
}

export interface Timer {
  cancel(): void;
}

export interface Timers {
  /** Runs `task` once, at least `delayMs` from now. A pending timer never keeps the process alive. */
  after(delayMs: number, task: () => void): Timer;
  /** Runs `task` after what is already queued, before any timer. */
  soon(task: () => void): void;
}

export interface Runtime {
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
}
