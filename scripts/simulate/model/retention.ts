import type { ChannelKey } from '../../../src/core/ids.ts';
import { floorOf, isBelowFloor } from '../../../src/core/kinds/floor.ts';
import { EMPTY_ROW, type Row } from '../../../src/core/row.ts';
import { floorKey, type RowKey } from '../../../src/core/row-key.ts';
import type { RetentionOptions, RetentionRule } from '../../../src/messaging/retention/port.ts';
import type { SimulatedNode } from '../cluster/node.ts';
import type { Simulation } from '../simulation.ts';
import type { SeededRandom } from '../world/random.ts';

/** Of a channel that is written once a second: soon reached, and reached again. */
const BYTES_MAX = [1_000, 3_000, 8_000];
const AGE_MS = [0, 4_000, 12_000];
const CHECK_EVERY_MS = 700;
const NO_RULE: RetentionRule = { ageMs: 0, bytesMax: 0 };

/**
 * Rules that cut channels while faults come. Draws from a stream of its own and is off by default: seeds of
 * before give the trace that they gave.
 */
export class SimulatedRetention {
  #rule: RetentionRule;
  readonly options: RetentionOptions;

  constructor(random: SeededRandom) {
    this.#rule = { bytesMax: random.pick(BYTES_MAX), ageMs: random.pick(AGE_MS) };
    this.options = { ruleOf: () => this.#rule, checkEveryMs: CHECK_EVERY_MS };
  }

  /** Nothing more is cut: what is checked at the end does not move. */
  fallQuiet(): void {
    this.#rule = NO_RULE;
  }
}

/** Up to which number the node itself says that messages are absent; 0 for none. */
export function floorAt(node: SimulatedNode, channel: ChannelKey): number {
  return floorOf(node.peek(floorKey(channel)) ?? EMPTY_ROW)?.seq ?? 0;
}

/**
 * True of a message, or a send key, that some floor puts out of the world. A node may claim it, because the
 * peer that it asked had taken it off, before it has heard of the floor: that is what a successor elsewhere
 * is for other rows.
 */
export function isPutOut(sim: Simulation, key: RowKey, row: Row): boolean {
  if (!sim.retention) return false;
  const floors = (wanted: RowKey): Row => {
    const writes = sim.registry.writesOf(wanted).map(({ entry }) => entry);
    return writes.sort((a, b) => floorSeqOf([b]) - floorSeqOf([a])).slice(0, 1);
  };
  return isBelowFloor(key, row, floors);
}

function floorSeqOf(row: Row): number {
  return floorOf(row)?.seq ?? 0;
}
