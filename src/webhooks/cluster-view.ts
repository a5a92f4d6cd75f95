import type { Runtime, Timer } from '../runtime/port.ts';

export interface ClusterViewOptions {
  readonly runtime: Pick<Runtime, 'clock' | 'timers'>;
  /**
   * When each other member last confirmed what is known here of its sessions, by the monotonic clock, in
   * milliseconds; undefined for never.
   */
  readonly confirmedMs: () => readonly (number | undefined)[];
}

const TICK_MS = 250;
/** A process that did nothing for so long was stopped, or as good as that. */
const PAUSE_MS = 1_500;
/** Members say once a second what they have. */
const CONFIRMED_MS = 2_500;
/** What lay in the sockets while this process was stopped is read by then; what is heard later is of now. */
const BACKLOG_MS = 1_000;
/** For members that were gone before: nobody knows whether they come back. */
const ALL_MS = 5_000;
const WAITING_MAX = 200_000;

/**
 * Whether this member knows who is online in the cluster now. After a pause, and while nobody is heard, it
 * does not: what depends on it waits until all others have said again what they have, or most of them
 * and none of the rest within 5 s. Two members have no majority: there only a pause counts, and for 5 s.
 */
export class ClusterView {
  readonly #options: ClusterViewOptions;
  readonly #waiting: (() => void)[] = [];
  #timer: Timer | undefined;
  #tickedMs: number;
  #blindMs: number | undefined;
  /** Since when most of the others are heard again. */
  #majorityMs: number | undefined;

  constructor(options: ClusterViewOptions) {
    this.#options = options;
    this.#tickedMs = options.runtime.clock.monotonicMs();
  }

  start(): void {
    this.#tickedMs = this.#nowMs();
    this.#tick();
  }

  /** What waits is told with what is known. */
  stop(): void {
    this.#timer?.cancel();
    this.#blindMs = undefined;
    this.#tellAll();
  }

  /** Runs the task now, or as soon as this member knows who is online. */
  whenKnown(task: () => void): void {
    this.#look();
    if (this.#blindMs === undefined) return task();
    if (this.#waiting.length >= WAITING_MAX) this.#waiting.shift()!();
    this.#waiting.push(task);
    return undefined;
  }

  #tick(): void {
    this.#look();
    if (this.#blindMs === undefined) this.#tellAll();
    this.#timer = this.#options.runtime.timers.after(TICK_MS, () => this.#tick());
  }

  #tellAll(): void {
    for (const task of this.#waiting.splice(0)) task();
  }

  #look(): void {
    const nowMs = this.#nowMs();
    const wasPaused = nowMs - this.#tickedMs > PAUSE_MS;
    this.#tickedMs = nowMs;
    const confirmed = this.#options.confirmedMs();
    if (confirmed.length === 0) {
      this.#blindMs = undefined;
      return;
    }
    const isHeard = confirmed.some((atMs) => atMs !== undefined && nowMs - atMs <= CONFIRMED_MS);
    if (wasPaused) {
      this.#blindMs = nowMs;
      this.#majorityMs = undefined;
    } else if (!isHeard && confirmed.length > 1) {
      this.#blindMs ??= nowMs;
    }
    if (this.#blindMs !== undefined && this.#seesAgain(this.#blindMs, confirmed)) {
      this.#blindMs = undefined;
      this.#majorityMs = undefined;
    }
  }

  #seesAgain(blindMs: number, confirmed: readonly (number | undefined)[]): boolean {
    const nowMs = this.#nowMs();
    const fromMs = blindMs + BACKLOG_MS;
    const again = confirmed.filter((atMs) => atMs !== undefined && atMs >= fromMs);
    if (again.length === confirmed.length) return true;
    // Of those that were cut off with it some may take longer to come back than others.
    const isMajority = confirmed.length === 1 || (again.length + 1) * 2 > confirmed.length + 1;
    if (!isMajority) {
      this.#majorityMs = undefined;
      return false;
    }
    this.#majorityMs ??= nowMs;
    return nowMs - this.#majorityMs >= ALL_MS;
  }

  #nowMs(): number {
    return this.#options.runtime.clock.monotonicMs();
  }
}
