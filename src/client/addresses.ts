/** Spreads those that one message of a node sends elsewhere. Milliseconds. */
const LED_WITHIN_MS = 100;

/**
 * Where the next connection goes: the application's addresses in turn, but for once to where a node that
 * is being drained said to go. Of what it names only addresses of the present kind count, so that nobody is
 * led from wss:// to ws://, and those that the application knows itself come first.
 */
export class Addresses {
  readonly #all: readonly string[];
  #turn = 0;
  #last = '';
  #led: string | undefined;

  constructor(all: readonly string[]) {
    if (all.length === 0) throw new RangeError('addresses: at least one is needed');
    this.#all = all;
  }

  next(): string {
    const led = this.#led;
    this.#led = undefined;
    this.#last = led ?? this.#all[this.#turn++ % this.#all.length]!;
    return this.#last;
  }

  /** `data` of an event `lifecycle.drain`, from a server: of any form. */
  lead(data: unknown): void {
    const { next, reconnect } = (data ?? {}) as { next?: unknown; reconnect?: unknown };
    if (!Array.isArray(next) || reconnect !== true) return;
    const kind = /^wss?:/.exec(this.#last)?.[0] ?? 'ws:';
    const named = next.filter(
      (address): address is string => typeof address === 'string' && address.startsWith(kind),
    );
    this.#led = named.find((address) => this.#all.includes(address)) ?? named[0];
  }

  /** How long to wait, where the next one was named: there is nothing to wait for. Milliseconds. */
  ledWaitMs(random: number): number | undefined {
    return this.#led === undefined ? undefined : random * LED_WITHIN_MS;
  }
}
