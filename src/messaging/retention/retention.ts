import type { ChannelKey } from '../../core/ids.ts';
import { floorOf, type Floor } from '../../core/kinds/floor.ts';
import { floorKey } from '../../core/row-key.ts';
import type { Replica } from '../../storage/replica-port.ts';
import { RetentionJudge, type JudgeOptions } from './judge.ts';
import type { Retention, RetentionOptions, RetentionRule, RetentionState } from './port.ts';
import type { Floors } from './floors.ts';
import { Pruner } from './pruner.ts';

export interface RetentionParts extends Omit<JudgeOptions, 'ruleOf' | 'checkEveryMs' | 'replica'> {
  readonly replica: Replica;
  readonly floors: Floors;
}

const NO_RULE: RetentionRule = { ageMs: 0, bytesMax: 0 };

/** The highest number that is absent by rule in the channel; 0 for none. About 2 µs. */
export function retentionFloor(replica: Pick<Replica, 'read'>, channel: ChannelKey): number {
  return floorOf(replica.read(floorKey(channel)))?.seq ?? 0;
}

/**
 * Floors of channels: raised here by the rules of this node's configuration, and kept to whoever raised
 * them, with rules or without.
 */
export class RetentionService implements Retention {
  readonly #options: RetentionOptions | undefined;
  readonly #replica: Replica;
  readonly #pruner: Pruner;
  readonly judge: RetentionJudge | undefined;

  constructor(options: RetentionOptions | undefined, parts: RetentionParts) {
    this.#options = options;
    this.#replica = parts.replica;
    this.#pruner = new Pruner(parts);
    this.judge = options && new RetentionJudge({ ...parts, ...options });
    parts.replica.addListener(this.#pruner);
  }

  floorOf(channel: ChannelKey): Floor | undefined {
    return floorOf(this.#replica.read(floorKey(channel)));
  }

  ruleOf(channelType: number): RetentionRule {
    return this.#options?.ruleOf(channelType) ?? NO_RULE;
  }

  state(): RetentionState {
    const { floorsRaised = 0, passes = 0 } = this.judge?.counters ?? {};
    return { floorsRaised, passes, ...this.#pruner.counters };
  }

  start(): void {
    this.#pruner.start();
    this.judge?.start();
  }

  stop(): void {
    this.#pruner.stop();
    this.judge?.stop();
  }
}
