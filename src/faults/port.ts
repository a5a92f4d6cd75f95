import type { ChannelKey, MemberId, Uid } from '../core/ids.ts';

/** Damage that is done on purpose to one layer of one running node, so that its repair can be watched. */
export type Fault =
  | { readonly kind: RowFault; readonly channel: ChannelKey; readonly uid: Uid }
  | { readonly kind: RoutingFault; readonly channel: ChannelKey; readonly uid: Uid }
  | { readonly kind: InterestFault; readonly channel: ChannelKey; readonly member: MemberId }
  | {
      readonly kind: DeltaFault;
      readonly member: MemberId;
      /** Of the frames of operations, 1 to 100. */
      readonly percent: number;
      readonly delayMs: number;
      readonly seconds: number;
    }
  | { readonly kind: 'freeze-peer'; readonly member: MemberId; readonly seconds: number }
  | { readonly kind: 'lose-membership'; readonly seconds: number };

/** A subscription's row on this disk, behind the replica's back. */
export type RowFault = 'delete-row' | 'alter-row' | 'corrupt-row' | 'insert-row';
export type RoutingFault = 'drop-index-entry' | 'drop-topic';
export type InterestFault = 'drop-interest' | 'add-interest';
export type DeltaFault = 'drop-deltas' | 'delay-deltas';
export type FaultKind = Fault['kind'];

export const FAULT_KINDS: readonly FaultKind[] = [
  ...(['delete-row', 'alter-row', 'corrupt-row', 'insert-row'] as const),
  ...(['drop-index-entry', 'drop-topic', 'drop-interest', 'add-interest'] as const),
  ...(['drop-deltas', 'delay-deltas', 'freeze-peer', 'lose-membership'] as const),
];

/** What exactly was damaged, for people; each line one thing. */
export type Damage = readonly string[];

/** There is nothing to damage as it was asked. */
export class FaultError extends Error {
  override readonly name = 'FaultError';
  readonly code = 'NOTHING_TO_DAMAGE';
}

export interface FaultInjector {
  /** Resolves once the damage is done (on disk, where it is done there). Rejects with a `FaultError`. */
  inject(fault: Fault): Promise<Damage>;
}
