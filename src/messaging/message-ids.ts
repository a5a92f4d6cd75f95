import {
  composeMessageId,
  MESSAGE_ID_COUNTERS,
  MESSAGE_ID_MS_MAX,
  splitMessageId,
} from '../core/sequence.ts';
import type { Runtime } from '../runtime/port.ts';
import type { Replica } from '../storage/replica-port.ts';

const FACT = 'message-id-reserved-ms';
/** How far ahead of use an id's time is reserved on disk. Milliseconds. */
const RESERVE_MS = 60_000;

/**
 * Message ids: positive int64, rising on this node whatever the clock does. Never below a time that an
 * earlier run reserved, so a clock that stepped back cannot make an id twice; the counter starts at
 * random, so that two nodes that were given one slot by mistake still hardly ever meet.
 */
export class MessageIds {
  readonly #replica: Replica;
  readonly #runtime: Runtime;
  readonly #slot: number;
  #ms: number;
  #counter: number;
  #reservedMs: number;

  constructor(options: { replica: Replica; runtime: Runtime; slot: number }) {
    this.#replica = options.replica;
    this.#runtime = options.runtime;
    this.#slot = options.slot;
    const stored = this.#replica.fact(FACT);
    this.#reservedMs = stored ? Number(new TextDecoder().decode(stored)) : 0;
    this.#ms = this.#reservedMs;
    this.#counter = Math.floor(this.#runtime.random.fraction() * MESSAGE_ID_COUNTERS);
  }

  /**
   * An id of this member's slot that came back from a peer: a store that was wiped while the clock stood
   * too early must not give it again.
   */
  observe(messageId: bigint): void {
    const { ms, slot } = splitMessageId(messageId);
    if (slot === this.#slot && ms > this.#ms && ms <= MESSAGE_ID_MS_MAX) this.#ms = ms;
  }

  next(): bigint {
    const now = this.#runtime.clock.wallMs();
    if (now > this.#ms) this.#ms = Math.floor(now);
    this.#counter += 1;
    if (this.#counter >= MESSAGE_ID_COUNTERS) {
      this.#counter = 0;
      this.#ms += 1;
    }
    // The reservation is staged before the message that uses it: groups are flushed in order.
    if (this.#ms >= this.#reservedMs) {
      this.#reservedMs = this.#ms + RESERVE_MS;
      this.#replica.setFact(FACT, new TextEncoder().encode(String(this.#reservedMs)));
    }
    return composeMessageId(this.#ms, this.#slot, this.#counter);
  }
}
