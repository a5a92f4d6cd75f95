import type { ChannelKey, Uid } from '../core/ids.ts';
import { hasDot, isLive } from '../core/row.ts';
import { reverseKey, splitRowKey } from '../core/row-key.ts';
import { logKey } from './layout.ts';
import type { Mutation } from './port.ts';
import type { Change } from './replica-port.ts';
import { encodeLogRow, encodeRow } from './row-codec.ts';

const PRESENT = new Uint8Array([1]);

/** The row, the log rows of what it lost, and the reverse row of a subscription. */
export function addRowMutations(mutations: Mutation[], change: Change, shard: number): void {
  const { key, before, after } = change;
  mutations.push({ key, value: after.length > 0 ? encodeRow(key, after) : undefined });
  for (const { actor, counter } of before) {
    if (!hasDot(after, actor, counter)) mutations.push({ key: logKey(actor, shard, counter) });
  }
  if (key[0] !== 's') return;
  const [channel, uid] = splitRowKey(key)!.parts as [ChannelKey, Uid];
  if (!isLive(after)) mutations.push({ key: reverseKey(uid, channel) });
  else if (!isLive(before)) mutations.push({ key: reverseKey(uid, channel), value: PRESENT });
}

/** The same for a row that comes whole, not by an operation; every entry it gains gets a log row. */
export function addReplacement(mutations: Mutation[], change: Change): void {
  const { key, before, after } = change;
  const { shard } = splitRowKey(key)!;
  for (const { actor, counter } of after) {
    if (hasDot(before, actor, counter)) continue;
    const value = encodeLogRow(key, { offset: 0, count: 1 });
    mutations.push({ key: logKey(actor, shard, counter), value });
  }
  addRowMutations(mutations, change, shard);
}
