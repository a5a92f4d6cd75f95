import type { ChannelKey } from '../../core/ids.ts';
import type { Floor } from '../../core/kinds/floor.ts';

/** What is kept of the channels of one type; 0: everything. */
export interface RetentionRule {
  readonly ageMs: number;
  /** Rows of messages with their keys, of one channel. */
  readonly bytesMax: number;
}

export interface RetentionOptions {
  readonly ruleOf: (channelType: number) => RetentionRule;
  /** Between two looks at all messages. Milliseconds. */
  readonly checkEveryMs?: number | undefined;
}

export interface RetentionState {
  /** Channels of which this node raised the floor, messages it took off its own disk, and their bytes. */
  readonly floorsRaised: number;
  readonly messagesRemoved: number;
  readonly bytesRemoved: number;
  /** Whole looks at the messages that this node judges, since its start. */
  readonly passes: number;
}

/** Messages that are absent by rule, the same on every node. */
export interface Retention {
  /** Undefined: nothing of the channel was cut. About 2 µs. */
  floorOf(channel: ChannelKey): Floor | undefined;
  ruleOf(channelType: number): RetentionRule;
  state(): RetentionState;
}
