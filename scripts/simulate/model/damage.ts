import { crc32 } from '../../../src/core/checksum.ts';
import { isLive, type Entry, type Row } from '../../../src/core/row.ts';
import type { RowKey } from '../../../src/core/row-key.ts';
import { isClusterWell } from '../checks/calm.ts';
import { lacksEffect } from '../checks/effects.ts';
import type { SimulatedNode } from '../cluster/node.ts';
import type { Simulation } from '../simulation.ts';
import { logKey } from '../../../src/storage/layout.ts';
import type { DamageState } from './layer-ledger.ts';
import { isPutOut } from './retention.ts';

/** A row that nobody wrote is put aside once three sweeps in a row and two looks at it agreed. */
export const PUT_ASIDE_WITHIN_MS = 75_000;

/**
 * - lost: the row is gone or fails its checksum. altered: other content under a valid checksum.
 * - inserted: nobody ever wrote it. derived: a log row or a reverse row is gone.
 */
export type DamageKind = 'lost' | 'altered' | 'inserted' | 'derived';

export interface Damage {
  readonly kind: DamageKind;
  readonly node: SimulatedNode;
  /** The replicated row; of a derived one the row that calls for it. */
  readonly key: RowKey;
  /** What is gone from the disk, where it is not the row itself. */
  readonly derivedKey?: string | undefined;
}

/**
 * Design, section 7, virtual ms: a pass over the disk, which brings what is altered into the symbols, and a
 * sweep, which repairs it. A row that nobody wrote is put aside once three sweeps in a row and two looks
 * at it agreed.
 */
const BOUNDS_MS: Readonly<Record<DamageKind, number>> = {
  lost: 10_000,
  derived: 10_000,
  altered: 20_000,
  inserted: PUT_ASIDE_WITHIN_MS,
};

interface Entered extends Damage {
  readonly atMs: number;
  /** Other nodes whose disk had the row then, and has not been destroyed since: they have no excuse. */
  readonly holders: Set<SimulatedNode>;
  healedMs: number | undefined;
}

/**
 * What was damaged behind a node's back and is not healed yet: the checks that would rightly be red
 * meanwhile are suspended for that row, at that node and at those that may have learned of it from
 * there, and nowhere else.
 */
export class DamageLedger {
  readonly #sim: Simulation;
  #entries: Entered[] = [];
  #healed = 0;

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  /** How much was healed so far. */
  get healed(): number {
    return this.#healed;
  }

  add(damage: Damage): void {
    const holders = new Set(this.#sim.nodes.filter((node) => node !== damage.node));
    const entry = { ...damage, atMs: this.#sim.world.nowMs, holders, healedMs: undefined };
    this.#entries.push(entry);
    this.#sim.layers.add({
      ...{
        layer: 'disk',
        what: `${damage.kind} ${JSON.stringify(damage.key)} at ${damage.node.id}`,
      },
      boundMs: BOUNDS_MS[damage.kind],
      state: () => this.#stateOf(entry),
    });
  }

  open(): readonly (Damage & { readonly atMs: number })[] {
    return this.#entries.filter(({ healedMs }) => healedMs === undefined);
  }

  isOpen(key: RowKey): boolean {
    return this.open().some((damage) => damage.key === key);
  }

  isAltered(key: RowKey): boolean {
    return this.open().some((damage) => damage.key === key && damage.kind === 'altered');
  }

  /** True where the row may be wrong at the node, because of damage that is not healed. */
  excuses(node: SimulatedNode, key: RowKey): boolean {
    return this.#entries.some(
      (entry) => entry.healedMs === undefined && entry.key === key && !entry.holders.has(node),
    );
  }

  /** Its disk has gone, or has gone back: what was healed there may be damaged as before. */
  onDiskLost(node: SimulatedNode): void {
    for (const entry of this.#entries) {
      entry.holders.delete(node);
      if (entry.node === node) entry.healedMs = undefined;
    }
  }

  /** Notes what is healed by now. */
  look(): void {
    for (const entry of this.#entries) {
      if (entry.healedMs !== undefined || !this.#isHealed(entry)) continue;
      entry.healedMs = this.#sim.world.nowMs;
      this.#healed += 1;
      this.#sim.world.note('damage is healed', () => describe(entry, this.#sim.world.nowMs));
    }
  }

  /** For people: what is still damaged. */
  describe(): string[] {
    return this.open().map((damage) => describe(damage, this.#sim.world.nowMs));
  }

  /** Its time is counted while every node is well: it takes the others to repair a row. */
  #stateOf(entry: Entered): DamageState {
    if (entry.healedMs !== undefined || this.#isHealed(entry)) return 'healed';
    // Cut while it was lost: two passes of the audit, for a peer might still give it back.
    if (this.#leavesLog(entry)) return 'held';
    return isClusterWell(this.#sim) ? 'damaged' : 'held';
  }

  /** Log rows of what is absent by rule: nothing calls for them. */
  #leavesLog({ node, key }: Entered): boolean {
    return this.#sim.registry.writesOf(key).some(({ dot, entry }) => {
      if (!isPutOut(this.#sim, key, [entry])) return false;
      return node.has(logKey(dot.actor, dot.shard, dot.counter)) && node.peek(key)?.length === 0;
    });
  }

  #isHealed(entered: Entered): boolean {
    const { kind, node, key, derivedKey } = entered;
    if (this.#leavesLog(entered)) return false;
    return this.#sim.nodes.every((each) => {
      const row = each.peek(key);
      if (!each.core || row === undefined) return false;
      if (kind === 'inserted') return !isLive(row);
      if (row.some((entry) => !this.#isKnown(key, entry))) return false;
      if (each === node && derivedKey !== undefined && !isDerivedThere(each, row, derivedKey)) {
        return false;
      }
      return this.#sim.registry
        .writesOf(key)
        .every((write) => !lacksEffect({ sim: this.#sim, node: each }, write));
    });
  }

  /** As it was written, byte by byte. */
  #isKnown(key: RowKey, entry: Entry): boolean {
    const known = this.#sim.registry
      .writesOf(key)
      .find(({ dot }) => dot.actor === entry.actor && dot.counter === entry.counter);
    if (!known) return false;
    return known.entry.hlc === entry.hlc && crc32(known.entry.value) === crc32(entry.value);
  }
}

/** A reverse row has to be there while its row is live, a log row while its row has the dot. */
function isDerivedThere(node: SimulatedNode, row: Row, derivedKey: string): boolean {
  const there = node.has(derivedKey);
  if (derivedKey[0] === 'u') return there === isLive(row);
  const named = row.some(({ actor, counter }) => {
    return (
      derivedKey.startsWith(`l${actor}`) && Number.parseInt(derivedKey.slice(18), 16) === counter
    );
  });
  return there || !named;
}

function describe({ kind, node, key, derivedKey, atMs }: Damage & { atMs: number }, nowMs: number) {
  const what = JSON.stringify(derivedKey ?? key);
  return `${what} at ${node.id}, ${kind} at ${atMs.toFixed(0)}, ${(nowMs - atMs).toFixed(0)} ms ago`;
}
