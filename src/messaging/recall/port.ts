import type { ChannelKey, Uid } from '../../core/ids.ts';
import type { Recall } from '../../core/kinds/message.ts';
import type { Outcome } from '../../core/reason-code.ts';

export interface RecallRequest {
  readonly channel: ChannelKey;
  /** Absent: found by the sender and its client number. */
  readonly messageId: bigint | undefined;
  /** Where it is known: finds the message in one read. */
  readonly messageSeq?: number | undefined;
  /** Together with `sender`: finds the message in two reads. */
  readonly clientMsgNo?: string | undefined;
  readonly sender?: Uid | undefined;
  /** Empty where the backend names nobody. */
  readonly by: Uid | '';
  /** `user`: as far as `by` may. `api`: any message, at any time. */
  readonly as: 'user' | 'api';
  /** At most RECALL_REASON_LENGTH_MAX characters. */
  readonly reason: string;
}

export const RECALL_REASON_LENGTH_MAX = 256;

export interface RecallResult {
  readonly messageId: bigint;
  readonly messageSeq: number;
  readonly recall: Recall;
  /** Disks that hold the recall, 2 for two or more; 1 where it was recalled before. */
  readonly disks: number;
  /** It was recalled before, and nothing was changed. */
  readonly repeated: boolean;
}

/**
 * Takes messages back. Refuses with messageMissing, recallDenied or recallExpired, and as every write
 * with systemError; depends on nothing but this node's store.
 */
export interface Recalls {
  /** Resolves when the recall is on disk here and, while a peer is live, on a second disk. */
  recall(request: RecallRequest): Promise<Outcome<RecallResult>>;
}
