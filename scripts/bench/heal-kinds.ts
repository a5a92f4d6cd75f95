import type { SimulatedSession } from '../simulate/clients/session.ts';
import type { Uid } from '../../src/core/ids.ts';
import { isLive } from '../../src/core/row.ts';
import { reverseKey, subscriptionKey, type RowKey } from '../../src/core/row-key.ts';
import { damageRow } from '../../src/faults/store-faults.ts';
import type { RowFault } from '../../src/faults/port.ts';
import type { Store } from '../../src/storage/port.ts';
import { decodeRow, encodeRow } from '../../src/storage/row-codec.ts';
import { channelOf, type HealRig } from './heal-rig.ts';

/** What one injection damages: the user of this number, at the node of this number. */
export interface Target {
  readonly rig: HealRig;
  readonly index: number;
  readonly uid: Uid;
  /** Of a kind whose users are connected. */
  readonly session: SimulatedSession | undefined;
}

/** True once the damage is gone. It reads past the node, whose own reads would find it. */
export type Healed = () => boolean;

export interface HealKind {
  readonly name: string;
  /** Design, section 7, in the default profile. Milliseconds. */
  readonly boundMs: number;
  readonly connected?: true | undefined;
  /** So much is asked of links: one injection after the other. */
  readonly alone?: true | undefined;
  damage(target: Target): Healed | Promise<Healed>;
}

const DISK_MS = 10_000;
const SWEEP_MS = 10_000;

export const HEAL_KINDS: readonly HealKind[] = [
  { name: 'row deleted', boundMs: DISK_MS, damage: (target) => damageStored(target, 'delete-row') },
  {
    name: 'row deleted, its user connected',
    boundMs: 2_000,
    connected: true,
    damage: (target) => damageStored(target, 'delete-row'),
  },
  {
    name: 'row altered, checksum wrong',
    boundMs: DISK_MS,
    damage: (target) => damageStored(target, 'corrupt-row'),
  },
  {
    // The disk's audit brings it into the symbols, a sweep into the rows.
    name: 'row altered, checksum right',
    boundMs: DISK_MS + SWEEP_MS,
    damage: (target) => damageStored(target, 'alter-row'),
  },
  {
    name: 'row inserted',
    boundMs: DISK_MS + SWEEP_MS,
    damage: (target) => damageStored(strangerTo(target), 'insert-row'),
  },
  { name: 'reverse row deleted', boundMs: DISK_MS, damage: deleteReverse },
  { name: 'index entry dropped', boundMs: 2_000, connected: true, damage: dropEntry },
  { name: 'topic dropped', boundMs: 10_000, connected: true, damage: dropTopic },
  // Section 7 has no line for it; acceptance S2-3 says 10 s.
  { name: 'interest altered', boundMs: 10_000, connected: true, damage: alterInterest },
  { name: 'delta lost', boundMs: 2_000, alone: true, damage: loseDelta },
];

const ROWS = {
  encode: encodeRow,
  decode: (key: RowKey, bytes: Uint8Array) => {
    const decoded = decodeRow(key, bytes);
    return decoded.ok ? decoded.row : undefined;
  },
};

function strangerTo(target: Target): Target {
  return { ...target, uid: `stranger-${target.index}` as Uid };
}

function damageStored({ rig, index, uid }: Target, kind: RowFault): Healed {
  const store = rig.store(index);
  const { process: runtime } = rig.sim.nodes[index % 3]!.run!;
  const channel = channelOf(index);
  const key = subscriptionKey(channel, uid);
  const before = store.get(key);
  void damageRow({ store, runtime, rows: ROWS }, { kind, channel, uid });
  return () => sameBytes(store.get(key), before);
}

function deleteReverse({ rig, index, uid }: Target): Healed {
  const store = rig.store(index);
  const key = reverseKey(uid, channelOf(index));
  store.stage([{ key }]);
  return () => isPresent(store, key);
}

function dropEntry({ rig, index, uid, session }: Target): Healed {
  const channel = channelOf(index);
  if (!rig.core(index).routing.damageEntry(channel, uid)) throw new Error('no entry to drop');
  return () => session!.hasJoined(channel);
}

function dropTopic({ index, session }: Target): Healed {
  const channel = channelOf(index);
  session!.leave(channel);
  return () => session!.hasJoined(channel);
}

/** In turns: a peer's wish is forgotten, or one is made up that it never had. */
function alterInterest({ rig, index }: Target): Healed {
  const { replicator } = rig.core(index + 1);
  const peer = rig.core(index).self.id;
  const real = index % 2 === 0;
  const item = real ? (`c${channelOf(index)}` as const) : (`c2/nobody-${index}` as const);
  replicator.damageInterest(peer, item, real ? 'drop' : 'add');
  return () => replicator.interestOf(peer).has(item) === real;
}

/** A write whose frame to one peer vanishes on an open stream. */
async function loseDelta({ rig, index }: Target): Promise<Healed> {
  const { sim } = rig;
  const uid = `late-${index}` as Uid;
  const key = subscriptionKey(channelOf(index), uid);
  const path = sim.network.path(rig.core(index).self.id, rig.core(index + 1).self.id);
  const lostBefore = sim.network.lostFrames;
  path.frameLoss = 1;
  void rig.subscribe(index, uid);
  const lost = await sim.world.runUntil(() => sim.network.lostFrames > lostBefore, 1_000);
  path.frameLoss = 0;
  if (!lost) throw new Error('no frame was lost');
  return () => {
    const bytes = rig.store(index + 1).get(key);
    return bytes !== undefined && isLive(ROWS.decode(key, bytes) ?? []);
  };
}

function isPresent(store: Store, key: string): boolean {
  return store.get(key) !== undefined;
}

function sameBytes(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (!one || !other) return one === other;
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
