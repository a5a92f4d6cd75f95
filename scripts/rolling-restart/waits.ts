/** How long one client was without a connection, each time it lost one. Milliseconds. */
export class Waits {
  readonly #all: number[] = [];
  #sinceMs: number | undefined;

  /** Connections lost. */
  get count(): number {
    return this.#all.length + (this.#sinceMs === undefined ? 0 : 1);
  }

  /** Told as often as one likes: only changes count. */
  note(isConnected: boolean, nowMs = performance.now()): void {
    if (!isConnected) this.#sinceMs ??= nowMs;
    else if (this.#sinceMs !== undefined) {
      this.#all.push(nowMs - this.#sinceMs);
      this.#sinceMs = undefined;
    }
  }

  /** One that goes on counts as long as it has lasted. */
  longest(nowMs = performance.now()): number {
    const open = this.#sinceMs === undefined ? 0 : nowMs - this.#sinceMs;
    return Math.max(open, ...this.#all);
  }
}
