import type { Log } from '../observability/log.ts';
import { ChannelCopies } from './channel-copies.ts';
import { ChannelRules } from './channel-rules.ts';
import type { Mutation, Store } from './port.ts';
import type { Change } from './replica-port.ts';

/** What is known of channels without a look at the disk. */
export class ChannelMarks {
  readonly rules = new ChannelRules();
  readonly copies = new ChannelCopies();

  /** The batch of these changes with what it has to say of their channels. */
  noted(changes: readonly Change[], mutations: readonly Mutation[]): readonly Mutation[] {
    this.rules.note(changes);
    const marks = this.copies.note(changes);
    return marks.length === 0 ? mutations : [...mutations, ...marks];
  }

  /** What cannot be read now is not known: then everybody looks. */
  async fill(store: Pick<Store, 'scan'>, log: Pick<Log, 'warn'>): Promise<void> {
    for (const part of [this.rules, this.copies]) {
      await part.fill(store).catch((error: unknown) => {
        log.warn('not known of channels without a look: each is looked up', { error });
      });
    }
  }
}
