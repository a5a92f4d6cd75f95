/**
 * Lets so many reads of ranges run at once; the others wait in the order in which they came. LevelDB's binding works
 * in the few threads of the process, first come first served: a write behind the reads of a thousand clients that
 * connect at once would wait for all of them.
 */
export class ReadTurns {
  readonly #atOnce: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Undefined where it may begin at once. Each call is followed by one of `done`. */
  turn(): Promise<void> | undefined {
    if (this.#running < this.#atOnce) {
      this.#running += 1;
      return undefined;
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** The turn goes to who waits the longest. */
  done(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running -= 1;
  }
}
