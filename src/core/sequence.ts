/**
 * The order of a channel: messageSeq = counter × slots + slot, counter = floor(highest seen / slots) + 1,
 * a Lamport clock per channel. Increasing, after everything its node has seen, unique while slots are,
 * contiguous on a lone node (slots 1), and below 2^32 for 134 million messages a channel at 32 slots.
 */
export interface SlotNumber {
  readonly slot: number;
  readonly slots: number;
}

export function nextSeq(highestSeen: number, { slot, slots }: SlotNumber): number {
  return (Math.floor(highestSeen / slots) + 1) * slots + slot;
}

const COUNTER_BITS = 16n;
const SLOT_BITS = 5n;

/** Positive int64: 42 bits of milliseconds, 5 of slot, 16 of counter. */
export function composeMessageId(ms: number, slot: number, counter: number): bigint {
  return (
    (BigInt(ms) << (SLOT_BITS + COUNTER_BITS)) | (BigInt(slot) << COUNTER_BITS) | BigInt(counter)
  );
}

export const MESSAGE_ID_MS_MAX = 2 ** 42 - 1;

export function splitMessageId(id: bigint): { readonly ms: number; readonly slot: number } {
  const slot = Number((id >> COUNTER_BITS) & ((1n << SLOT_BITS) - 1n));
  return { ms: Number(id >> (SLOT_BITS + COUNTER_BITS)), slot };
}

export const MESSAGE_ID_COUNTERS = 1 << Number(COUNTER_BITS);
