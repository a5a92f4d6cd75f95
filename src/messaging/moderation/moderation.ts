import type { OperationJournal } from '../../audit/operations/port.ts';
import type { ChannelKey, Uid } from '../../core/ids.ts';
import { decodeUser, encodeUser } from '../../core/kinds/user.ts';
import { EMPTY_VALUE, removeSeen, replace, type Draft } from '../../core/operation.ts';
import { shardOf, SHARDS } from '../../core/placement.ts';
import type { Outcome } from '../../core/reason-code.ts';
import { isLive } from '../../core/row.ts';
import {
  channelFlagKey,
  channelListPrefix,
  denyKey,
  rangeEnd,
  shardPrefix,
  userKey,
  type ChannelList,
  type RowKey,
} from '../../core/row-key.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { Store } from '../../storage/port.ts';
import type { Cause, Directory } from '../port.ts';
import type { WriteGate } from '../write-gate.ts';
import type { Moderation, NamedUsers } from './port.ts';

export interface ModerationOptions {
  readonly replica: Replica;
  readonly store: Pick<Store, 'scan'>;
  readonly gate: Pick<WriteGate, 'refusal'>;
  readonly directory: Directory;
  readonly journal?: Pick<OperationJournal, 'because'> | undefined;
}

const DONE = { ok: true, value: undefined } as const;
/** Of one operation, with room for a flag. */
const UIDS_AT_ONCE = 200;
/** A ban carries the vector of its shard: few at a time, so that one call cannot fill the queue. */
const BANS_AT_ONCE = 16;
const PAGE_SIZE = 1000;
/** App, web, desktop. */
const DEVICE_FLAGS = [0, 1, 2] as const;

/** The rows of kinds deny and user that name somebody. */
export class ModerationService implements Moderation {
  readonly #options: ModerationOptions;
  readonly #cause: Cause;

  constructor(options: ModerationOptions, cause: Cause = 'system') {
    this.#options = options;
    this.#cause = cause;
  }

  by(cause: Cause): ModerationService {
    const directory = this.#options.directory.by(cause);
    return new ModerationService({ ...this.#options, directory }, cause);
  }

  async add({ channel, list, uids }: NamedUsers): Promise<Outcome<undefined>> {
    const { directory } = this.#options;
    if (list === 'ban') {
      return inGroups(uids, BANS_AT_ONCE, async (group) => {
        const done = await Promise.all(group.map((uid) => directory.deny(channel, uid, list)));
        return done.find((outcome) => !outcome.ok) ?? DONE;
      });
    }
    return inGroups(uids, UIDS_AT_ONCE, (group) => {
      const drafts = group.map((uid) => this.#put(denyKey(channel, uid, list), EMPTY_VALUE));
      // With every addition anew, so that whoever finds the list empty elsewhere has not seen this one.
      if (list === 'whitelist') {
        drafts.push(this.#put(channelFlagKey(channel, 'whitelist'), EMPTY_VALUE));
      }
      return this.#write(shardOf(channel), drafts);
    });
  }

  async remove({ channel, list, uids }: NamedUsers): Promise<Outcome<undefined>> {
    const removed = await inGroups(uids, UIDS_AT_ONCE, (group) => {
      const drafts: Draft[] = [];
      for (const uid of group) {
        const key = denyKey(channel, uid, list);
        const row = this.#options.replica.read(key);
        if (isLive(row)) drafts.push(removeSeen(key, row));
      }
      return this.#write(shardOf(channel), drafts);
    });
    if (!removed.ok || list !== 'whitelist') return removed;
    return this.#endEmptyWhitelist(channel);
  }

  async set({ channel, list, uids }: NamedUsers): Promise<Outcome<undefined>> {
    const kept = new Set(uids);
    const added = await this.add({ channel, list, uids });
    if (!added.ok) return added;
    let after: Uid | undefined;
    for (;;) {
      const page = await this.listed({ channel, list }, { after, limit: PAGE_SIZE });
      const others = page.filter((uid) => !kept.has(uid));
      const removed = await this.remove({ channel, list, uids: others });
      if (!removed.ok || page.length < PAGE_SIZE) return removed;
      after = page.at(-1);
    }
  }

  async listed(
    { channel, list }: Pick<NamedUsers, 'channel' | 'list'>,
    { after, limit }: { readonly after?: Uid | undefined; readonly limit: number },
  ): Promise<readonly Uid[]> {
    const prefix = channelListPrefix(channel, list);
    const gte = after === undefined ? prefix : `${prefix}${after}\u0000`;
    const uids: Uid[] = [];
    for await (const chunk of this.#options.store.scan({ gte, lt: rangeEnd(prefix) })) {
      for (const [key] of chunk) {
        if (uids.length >= limit) return uids;
        const uid = key.slice(prefix.length) as Uid;
        if (this.isListed(channel, uid, list)) uids.push(uid);
      }
    }
    return uids;
  }

  isListed(channel: ChannelKey, uid: Uid, list: ChannelList): boolean {
    return isLive(this.#options.replica.read(denyKey(channel, uid, list)));
  }

  async setSystem(uids: readonly Uid[], system: 'yes' | 'no'): Promise<Outcome<undefined>> {
    const value = encodeUser({ system: system === 'yes' });
    const changed = uids.filter((uid) => this.isSystem(uid) !== (system === 'yes'));
    const put = (uid: Uid) => this.#write(shardOf(uid), [{ ...this.#put(userKey(uid), value) }]);
    return inGroups(changed, UIDS_AT_ONCE, async (group) => {
      const done = await Promise.all(group.map(put));
      return done.find((outcome) => !outcome.ok) ?? DONE;
    });
  }

  isSystem(uid: Uid): boolean {
    return isSystemUser(this.#options.replica, uid);
  }

  async systemUids(limit: number): Promise<readonly Uid[]> {
    const found: Uid[] = [];
    for (let shard = 0; shard < SHARDS; shard++) {
      const prefix = shardPrefix('p', shard);
      for await (const chunk of this.#options.store.scan({ gte: prefix, lt: rangeEnd(prefix) })) {
        for (const [key] of chunk) {
          if (found.length >= limit) return found;
          const uid = key.slice(prefix.length) as Uid;
          if (this.isSystem(uid)) found.push(uid);
        }
      }
    }
    return found;
  }

  async quitDevice(uid: Uid, deviceFlag: number | undefined): Promise<Outcome<undefined>> {
    const flags = deviceFlag === undefined ? DEVICE_FLAGS : [deviceFlag];
    const { directory } = this.#options;
    const done = await Promise.all(flags.map((flag) => directory.revokeTokens(uid, flag)));
    return done.find((outcome) => !outcome.ok) ?? DONE;
  }

  /** The flag as it was before the look: one that is set meanwhile stays, with what was added. */
  async #endEmptyWhitelist(channel: ChannelKey): Promise<Outcome<undefined>> {
    const key = channelFlagKey(channel, 'whitelist');
    const before = this.#options.replica.read(key);
    if (!isLive(before)) return DONE;
    const rest = await this.listed({ channel, list: 'whitelist' }, { limit: 1 });
    if (rest.length > 0) return DONE;
    return this.#write(shardOf(channel), [removeSeen(key, before)]);
  }

  #put(key: RowKey, value: Uint8Array): Draft {
    const { replica } = this.#options;
    const shard = Number.parseInt(key[1]!, 16);
    return replace(replica.read(key), { key, tag: 0, value }, () => replica.seen(shard));
  }

  #write(shard: number, drafts: readonly Draft[]): Promise<Outcome<undefined>> {
    const { gate, replica, journal } = this.#options;
    if (drafts.length === 0) return Promise.resolve(DONE);
    const refusal = gate.refusal();
    if (refusal) return Promise.resolve(refusal);
    return new Promise((resolve) => {
      const operation = replica.submit(shard, drafts, () => resolve(DONE));
      journal?.because(operation, this.#cause);
    });
  }
}

export function isSystemUser(replica: Pick<Replica, 'read'>, uid: Uid): boolean {
  const [entry] = replica.read(userKey(uid));
  return entry !== undefined && decodeUser(entry.value)?.system === true;
}

/** One group after the other; ends with the first refusal. */
async function inGroups(
  uids: readonly Uid[],
  size: number,
  write: (group: readonly Uid[]) => Promise<Outcome<undefined>>,
): Promise<Outcome<undefined>> {
  for (let at = 0; at < uids.length; at += size) {
    const outcome = await write(uids.slice(at, at + size));
    if (!outcome.ok) return outcome;
  }
  return DONE;
}
