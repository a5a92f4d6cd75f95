import type { ActorId } from '../ids.ts';

/** One element of a shard's set, which two replicas compare: a live dot and what it says. */
export interface SetItem {
  readonly actor: ActorId;
  readonly counter: number;
  /** 48 bits over the row's key and the entry (tag, context, value): equal for equal writes. */
  readonly content: number;
}
