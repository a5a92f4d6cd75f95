import type { ActorId, ChannelKey, Uid } from '../../../src/core/ids.ts';
import { shardOf } from '../../../src/core/placement.ts';
import { isLive, liveEntries, type Row } from '../../../src/core/row.ts';
import {
  reverseKey,
  splitRowKey,
  subscriptionKey,
  type RowKey,
} from '../../../src/core/row-key.ts';
import { logKey } from '../../../src/storage/layout.ts';
import { encodeRow } from '../../../src/storage/row-codec.ts';
import type { SimulatedNode } from '../cluster/node.ts';
import type { DamageKind } from '../model/damage.ts';
import type { Fault, FaultContext } from './fault.ts';

interface Place {
  readonly node: SimulatedNode;
  readonly key: RowKey;
  readonly row: Row;
}

/**
 * Every node runs, has caught up and has said Hello to every other one: no disk is doubtful, so a row
 * that is damaged on one and whole on all others can be healed whatever comes next.
 */
function isCalm({ sim }: FaultContext): boolean {
  const others = sim.nodes.length - 1;
  return (
    others > 0 &&
    sim.nodes.every((node) => {
      const replicator = node.core?.replicator;
      return replicator?.mayWrite() && replicator.livePeers() === others && !node.owesRebuild();
    })
  );
}

/** A row that every disk holds alike, and of which no copy is damaged. */
function pickRow(context: FaultContext, wanted: (place: Place) => boolean): Place | undefined {
  const { sim, random } = context;
  if (!isCalm(context)) return undefined;
  const node = random.pick(sim.nodes);
  const keys = [...sim.registry.keys()].filter((key) => 'sdmi'.includes(key[0]!));
  for (let tries = 0; tries < 10 && keys.length > 0; tries++) {
    const key = random.pick(keys);
    if (sim.damage.isOpen(key)) continue;
    const rows = sim.nodes.map((each) => rowOnDisk(each, key));
    const dots = new Set(rows.map(dotsOf));
    const row = rows[sim.nodes.indexOf(node)];
    if (!row || row.length === 0 || dots.size > 1) continue;
    if (wanted({ node, key, row })) return { node, key, row };
  }
  return undefined;
}

/** Undefined where something newer is on its way to the disk. */
function rowOnDisk(node: SimulatedNode, key: RowKey): Row | undefined {
  return node.run?.store?.stagedBytes() === 0 ? node.peek(key) : undefined;
}

function dotsOf(row: Row | undefined): string {
  if (!row) return 'unknown';
  return row
    .map(({ actor, counter }) => `${actor}:${counter}`)
    .sort()
    .join();
}

interface RowFault {
  readonly kind: DamageKind;
  readonly weight: number;
  readonly wanted?: (place: Place, context: FaultContext) => boolean;
  /** Returns the key of what is gone, where it is not the row. */
  readonly damage: (place: Place, context: FaultContext) => string | undefined;
}

function damageFault(name: string, { kind, weight, wanted, damage }: RowFault): Fault {
  return {
    name,
    weight,
    apply(context) {
      const place = pickRow(context, (each) => wanted?.(each, context) ?? true);
      if (!place) return undefined;
      const { node, key } = place;
      const derivedKey = damage(place, context);
      context.sim.damage.add({ kind, node, key, derivedKey });
      return `${JSON.stringify(derivedKey ?? key)} at ${node.id}`;
    },
  };
}

const lostRow = damageFault('lost row', {
  kind: 'lost',
  weight: 4,
  damage({ node, key }) {
    node.disk.deleteBehindBack(key);
    return undefined;
  },
});

const flippedBit = damageFault('flipped bit', {
  kind: 'lost',
  weight: 3,
  damage({ node, key }, { random }) {
    const bits = 8 * node.run!.store!.get(key)!.length;
    node.disk.flipBit(key, random.between(0, bits - 1));
    return undefined;
  },
});

/** With two members there is no majority: nothing is changed and people decide. */
const alteredRow = damageFault('altered row', {
  kind: 'altered',
  weight: 2,
  wanted: ({ row }, { sim }) => sim.nodes.length > 2 && isLive(row),
  damage({ node, key, row }) {
    const live = liveEntries(row)[0]!;
    const altered = row.map((entry) => (entry === live ? { ...entry, hlc: entry.hlc + 1 } : entry));
    node.disk.putBehindBack(key, encodeRow(key, altered));
    return undefined;
  },
});

const lostLogRow = damageFault('lost log row', {
  kind: 'derived',
  weight: 2,
  wanted: ({ row }) => isLive(row),
  damage({ node, key, row }) {
    const { actor, counter } = liveEntries(row)[0]!;
    const gone = logKey(actor, splitRowKey(key)!.shard, counter);
    node.disk.deleteBehindBack(gone);
    return gone;
  },
});

const lostReverseRow = damageFault('lost reverse row', {
  kind: 'derived',
  weight: 2,
  wanted: ({ key, row }) => key[0] === 's' && isLive(row),
  damage({ node, key }) {
    const [channel, uid] = splitRowKey(key)!.parts;
    const gone = reverseKey(uid as Uid, channel as ChannelKey);
    node.disk.deleteBehindBack(gone);
    return gone;
  },
});

const insertedRow: Fault = {
  name: 'inserted row',
  weight: 2,
  apply(context) {
    const { sim, random } = context;
    if (!isCalm(context)) return undefined;
    const node = random.pick(sim.nodes);
    const channel = random.pick(sim.channels);
    const key = subscriptionKey(channel, `ghost-${random.between(0, 999)}` as Uid);
    if (sim.damage.isOpen(key)) return undefined;
    const actor = random.uint32().toString(16).padStart(16, '0') as ActorId;
    const value = new Uint8Array(0);
    const entry = { actor, counter: random.between(1, 9), tag: 0, hlc: 1, context: [], value };
    node.disk.putBehindBack(key, encodeRow(key, [entry]));
    sim.damage.add({ kind: 'inserted', node, key });
    return `${JSON.stringify(key)} of shard ${shardOf(channel)} at ${node.id}`;
  },
};

export const DAMAGE_FAULTS: readonly Fault[] = [
  ...[lostRow, flippedBit, alteredRow, lostLogRow, lostReverseRow, insertedRow],
];
