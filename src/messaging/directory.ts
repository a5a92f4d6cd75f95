import { createHash, timingSafeEqual } from 'node:crypto';
import { uniteContexts } from '../core/context.ts';
import type { ChannelKey, Uid } from '../core/ids.ts';
import { decodeChannel, encodeChannel, type ChannelSettings } from '../core/kinds/channel.ts';
import { encodeToken, TOKEN_REVOKED, TOKEN_SET, validTokens } from '../core/kinds/token.ts';
import { EMPTY_VALUE, remove, removeSeen, replace, type Draft } from '../core/operation.ts';
import { shardOf } from '../core/placement.ts';
import { REASON, refuse, type Outcome } from '../core/reason-code.ts';
import { isLive } from '../core/row.ts';
import {
  channelFlagKey,
  channelRowKey,
  denyKey,
  subscriptionKey,
  tokenKey,
  type ChannelFlag,
  type DenyReason,
  type RowKey,
} from '../core/row-key.ts';
import type { OperationJournal } from '../audit/operations/port.ts';
import type { Replica } from '../storage/replica-port.ts';
import type { Cause, ChannelFlags, DeviceToken, Directory } from './port.ts';
import type { WriteGate } from './write-gate.ts';

export interface DirectoryOptions {
  readonly replica: Replica;
  readonly gate: WriteGate;
  readonly journal?: Pick<OperationJournal, 'because'> | undefined;
}

const DONE = { ok: true, value: undefined } as const;
const NEW_CHANNEL: ChannelSettings = {
  large: false,
  allowStranger: false,
  join: 'closed',
  deleted: false,
};
const FLAG_NAMES: readonly (readonly [keyof ChannelFlags, ChannelFlag])[] = [
  ['ban', 'ban'],
  ['disband', 'disband'],
  ['sendBan', 'send_ban'],
];

/** What decides who may subscribe: two rows, where `channel` reads four. */
export function joinRuleOf(
  replica: Pick<Replica, 'read' | 'mayHaveRules'>,
  channel: ChannelKey,
): { readonly join: ChannelSettings['join']; readonly disband: boolean } {
  if (!replica.mayHaveRules(channel)) return { join: 'open', disband: false };
  const row = replica.read(channelRowKey(channel));
  const settings = row[0] && decodeChannel(row[0].value);
  const disband = isLive(replica.read(channelFlagKey(channel, 'disband')));
  return { join: settings?.join ?? 'open', disband };
}

/** Tokens, channels and denials: everything that is looked up by name and never fanned out. */
export class DirectoryService implements Directory {
  readonly #replica: Replica;
  readonly #gate: WriteGate;
  readonly #options: DirectoryOptions;
  readonly #cause: Cause;

  constructor(options: DirectoryOptions, cause: Cause = 'system') {
    this.#replica = options.replica;
    this.#gate = options.gate;
    this.#options = options;
    this.#cause = cause;
  }

  by(cause: Cause): DirectoryService {
    return new DirectoryService(this.#options, cause);
  }

  setToken(uid: Uid, deviceFlag: number, token: DeviceToken): Promise<Outcome<undefined>> {
    const value = encodeToken({ hash: sha256(token.token), level: token.level });
    return this.#write(shardOf(uid), [this.#put(tokenKey(uid, deviceFlag), TOKEN_SET, value)]);
  }

  revokeTokens(uid: Uid, deviceFlag: number): Promise<Outcome<undefined>> {
    return this.#write(shardOf(uid), [
      this.#put(tokenKey(uid, deviceFlag), TOKEN_REVOKED, EMPTY_VALUE),
    ]);
  }

  checkToken(uid: Uid, deviceFlag: number, token: string): Outcome<{ readonly level: number }> {
    const given = Buffer.from(sha256(token));
    for (const { hash, level } of validTokens(this.#replica.read(tokenKey(uid, deviceFlag)))) {
      const stored = Buffer.from(hash);
      if (stored.length === given.length && timingSafeEqual(stored, given)) {
        return { ok: true, value: { level } };
      }
    }
    return refuse(REASON.authenticationFailed, 'the token is not valid for this uid and device');
  }

  channel(channel: ChannelKey): (ChannelSettings & ChannelFlags) | undefined {
    const row = this.#replica.read(channelRowKey(channel));
    const settings = row[0] && decodeChannel(row[0].value);
    const flags = {
      ban: this.#flag(channel, 'ban'),
      disband: this.#flag(channel, 'disband'),
      sendBan: this.#flag(channel, 'send_ban'),
    };
    if (settings) return { ...settings, ...flags };
    if (!flags.ban && !flags.disband && !flags.sendBan) return undefined;
    return { ...NEW_CHANNEL, join: 'open', ...flags };
  }

  setChannel(
    channel: ChannelKey,
    settings: Partial<ChannelSettings>,
    flags: Partial<ChannelFlags>,
  ): Promise<Outcome<undefined>> {
    const key = channelRowKey(channel);
    const row = this.#replica.read(key);
    const known = row[0] && decodeChannel(row[0].value);
    const value = encodeChannel({ ...(known ?? NEW_CHANNEL), deleted: false, ...settings });
    const drafts = [this.#put(key, 0, value)];
    for (const [name, flag] of FLAG_NAMES) {
      const wanted = flags[name];
      if (wanted === undefined || wanted === this.#flag(channel, flag)) continue;
      const flagKey = channelFlagKey(channel, flag);
      if (wanted) drafts.push(this.#put(flagKey, 0, EMPTY_VALUE));
      else drafts.push(removeSeen(flagKey, this.#replica.read(flagKey)));
    }
    return this.#write(shardOf(channel), drafts);
  }

  deny(channel: ChannelKey, uid: Uid, reason: DenyReason): Promise<Outcome<undefined>> {
    const shard = shardOf(channel);
    const drafts = [this.#put(denyKey(channel, uid, reason), 0, EMPTY_VALUE)];
    if (reason === 'ban') {
      const key = subscriptionKey(channel, uid);
      drafts.push(remove(key, this.#replica.read(key), uniteContexts(this.#replica.seen(shard))));
    }
    return this.#write(shard, drafts);
  }

  allow(channel: ChannelKey, uid: Uid, reason: DenyReason): Promise<Outcome<undefined>> {
    const key = denyKey(channel, uid, reason);
    const row = this.#replica.read(key);
    if (!isLive(row)) return Promise.resolve(DONE);
    return this.#write(shardOf(channel), [removeSeen(key, row)]);
  }

  #flag(channel: ChannelKey, flag: ChannelFlag): boolean {
    return isLive(this.#replica.read(channelFlagKey(channel, flag)));
  }

  #put(key: RowKey, tag: number, value: Uint8Array): Draft {
    const row = this.#replica.read(key);
    const shard = Number.parseInt(key[1]!, 16);
    return replace(row, { key, tag, value }, () => this.#replica.seen(shard));
  }

  #write(shard: number, drafts: readonly Draft[]): Promise<Outcome<undefined>> {
    const refusal = this.#gate.refusal();
    if (refusal) return Promise.resolve(refusal);
    return new Promise((resolve) => {
      const operation = this.#replica.submit(shard, drafts, () => resolve(DONE));
      this.#options.journal?.because(operation, this.#cause);
    });
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
