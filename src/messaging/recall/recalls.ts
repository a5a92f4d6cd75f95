import type { Replication } from '../../cluster/replication/port.ts';
import { EMPTY_CONTEXT } from '../../core/context.ts';
import { channelTypeOf, type ActorId, type ChannelKey, type Uid } from '../../core/ids.ts';
import { encodeRecalled, NOBODY, RECALLED } from '../../core/kinds/cursor.ts';
import {
  decodeMessage,
  encodeMessage,
  tombstoneOf,
  type Message,
  type Recall,
  type RecallRole,
} from '../../core/kinds/message.ts';
import { replace, type Draft, type Operation } from '../../core/operation.ts';
import { shardOf } from '../../core/placement.ts';
import { REASON, refuse, type Outcome } from '../../core/reason-code.ts';
import { isLive, RECALL, type Row } from '../../core/row.ts';
import { cursorKey, subscriptionKey, type RowKey } from '../../core/row-key.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { Store } from '../../storage/port.ts';
import type { Replica } from '../../storage/replica-port.ts';
import { copiesOf, keyOfCopy } from '../history/copies.ts';
import type { Directory } from '../port.ts';
import type { WriteGate } from '../write-gate.ts';
import { MessageFinder } from './find-message.ts';
import type { RecallRequest, RecallResult, Recalls } from './port.ts';

export interface RecallOptions {
  readonly store: Pick<Store, 'scan'>;
  readonly replica: Pick<Replica, 'read' | 'decode' | 'submit' | 'cover' | 'seen'>;
  readonly replication: Pick<Replication, 'awaitReach' | 'livePeers'>;
  readonly directory: Pick<Directory, 'channel'>;
  readonly gate: Pick<WriteGate, 'refusal'>;
  readonly runtime: Runtime;
  /** How long after the send its sender may recall it, by this node's clock. Milliseconds. */
  readonly windowMs: (channelType: number) => number;
  /** How long an acknowledgement waits for a second disk while a peer is live. Milliseconds. */
  readonly secondDiskTimeoutMs: number;
}

/** Copies of one send: as many as nodes that took it before they could meet. */
const COPIES_MAX = 64;

export class RecallService implements Recalls {
  readonly #options: RecallOptions;
  readonly #finder: MessageFinder;

  constructor(options: RecallOptions) {
    this.#options = options;
    this.#finder = new MessageFinder(options);
  }

  async recall(request: RecallRequest): Promise<Outcome<RecallResult>> {
    const { channel, by, as } = request;
    const found = await this.#finder.find(request);
    // From here to the staging nothing waits: what was read is what is replaced.
    const [entry] = found ? this.#options.replica.read(found.key) : [];
    const message = entry && decodeMessage(entry.value);
    if (!found || !message) {
      // Whether a message exists is nothing for strangers to know.
      if (as === 'api' || this.#isMember(channel, by)) {
        return refuse(REASON.messageMissing, 'there is no such message in this channel');
      }
      return refuse(REASON.recallDenied, 'only members may recall in this channel');
    }
    const role = this.#roleOf(request, message);
    if (!role) {
      const who = 'its sender, the owner and the managers of the channel';
      return refuse(REASON.recallDenied, `a message is recalled by ${who}`);
    }
    const atMs = Math.floor(this.#options.runtime.clock.wallMs());
    const first = message.recall ?? { by, role, atMs, reason: request.reason };
    if (!message.recall && role === 'sender') {
      const windowMs = this.#options.windowMs(channelTypeOf(channel));
      if (atMs - message.timestamp * 1000 > windowMs) {
        const seconds = Math.floor(windowMs / 1000);
        return refuse(REASON.recallExpired, `its sender may recall it for ${seconds} s`);
      }
    }
    return this.#write({ channel, message, actor: found.actor, key: found.key, recall: first });
  }

  async #write(target: Target): Promise<Outcome<RecallResult>> {
    const { replica, gate } = this.#options;
    const { channel, message, recall } = target;
    const repeated = message.recall !== undefined;
    const drafts = recallDrafts(replica, target);
    const { messageId, messageSeq } = message;
    const done = (disks: number): Outcome<RecallResult> => ({
      ok: true,
      value: { messageId, messageSeq, recall, disks, repeated },
    });
    if (drafts.length === 0) {
      // What was staged before this is on disk when it runs: the recall that stands there.
      await new Promise<void>((resolve) => {
        replica.cover([], resolve);
      });
      return done(1);
    }
    const refusal = gate.refusal();
    if (refusal) return refusal;
    const mark = cursorKey(channel, NOBODY);
    const value = encodeRecalled(replica.read(mark), recall.atMs);
    const told: Draft = { key: mark, tag: RECALLED, context: EMPTY_CONTEXT, value };
    return new Promise((resolve) => {
      const operation: Operation = replica.submit(shardOf(channel), [...drafts, told], () =>
        this.#awaitSecondDisk(operation, (disks) => resolve(done(disks))),
      );
    });
  }

  #awaitSecondDisk(operation: Operation, done: (disks: number) => void): void {
    const { replication, secondDiskTimeoutMs } = this.#options;
    if (replication.livePeers() === 0) return done(1);
    const wanted = { disks: 2, timeoutMs: secondDiskTimeoutMs };
    replication.awaitReach(operation, wanted, (reach) => done(Math.min(2, reach.disks)));
  }

  #roleOf({ channel, as, by }: RecallRequest, message: Message): RecallRole | undefined {
    if (as === 'api') return 'api';
    if (by === '') return undefined;
    const settings = this.#options.directory.channel(channel);
    if (settings?.owner === by) return 'owner';
    if (settings?.managers?.includes(by)) return 'manager';
    return message.fromUid === by ? 'sender' : undefined;
  }

  #isMember(channel: ChannelKey, uid: Uid | ''): boolean {
    return uid !== '' && isLive(this.#options.replica.read(subscriptionKey(channel, uid)));
  }
}

export interface Target {
  readonly channel: ChannelKey;
  readonly key: RowKey;
  readonly actor: ActorId;
  readonly message: Message;
  readonly recall: Recall;
}

/** Recalls of the message and of every other copy of its send that is not recalled yet. */
export function recallDrafts(
  replica: Pick<Replica, 'read' | 'seen'>,
  { channel, key, actor, message, recall }: Target,
): readonly Draft[] {
  const read = (wanted: RowKey): Row => replica.read(wanted);
  const copies = copiesOf(read, { channel, message, actor }).slice(0, COPIES_MAX);
  const keys = new Set([key, ...copies.map((copy) => keyOfCopy(channel, copy))]);
  const drafts: Draft[] = [];
  for (const each of keys) {
    const row = read(each);
    const [entry] = row;
    // A copy that is not here yet is recalled when it comes.
    if (!entry || entry.tag === RECALL) continue;
    const stored = decodeMessage(entry.value) ?? message;
    const value = encodeMessage(tombstoneOf(stored, recall));
    const vector = () => replica.seen(shardOf(channel));
    drafts.push(replace(row, { key: each, tag: RECALL, value }, vector));
  }
  return drafts;
}
