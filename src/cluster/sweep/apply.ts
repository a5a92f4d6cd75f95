import type { Repair, RepairAction } from '../../audit/port.ts';
import type { ChannelKey, MemberId, Uid } from '../../core/ids.ts';
import { isBelowFloor } from '../../core/kinds/floor.ts';
import { isLive, type Entry, type Row } from '../../core/row.ts';
import { splitRowKey, type RowKey } from '../../core/row-key.ts';
import type { SweepOptions } from './options.ts';
import {
  contentUnder,
  findDot,
  isBorrowed,
  join,
  liveChange,
  replaceEntry,
  type LiveChange,
} from './verdict.ts';
import type { KeyedRow } from './wire.ts';

type ApplyOptions = Pick<SweepOptions, 'replica' | 'runtime' | 'repairs' | 'collections'>;

export interface Offer {
  readonly shard: number;
  readonly rows: readonly KeyedRow[];
  readonly peer?: MemberId | undefined;
  /** Of `collections` when the difference was captured: rows of an older capture prove nothing. */
  readonly collections: number;
  readonly cause?: string | undefined;
  /** An audit of this disk has found that the rows lack something: evidence is taken as well. */
  readonly doubted?: true | undefined;
}

/**
 * Takes rows that others hold into this member's own. Everything is looked at again in the tick that
 * stages it, against the rows as they are then.
 */
export class Applier {
  readonly #options: ApplyOptions;

  constructor(options: ApplyOptions) {
    this.#options = options;
  }

  /**
   * The keys whose live content changed, or that got evidence where no row was. What is only in flight to
   * this member is left to its stream.
   */
  merge({ shard, rows, peer, collections, cause, doubted }: Offer): readonly RowKey[] {
    const { replica } = this.#options;
    // Evidence that was collected since can no longer say what it kept out.
    if (this.#options.collections(shard) !== collections) return [];
    const taken: KeyedRow[] = [];
    const told: Repair[] = [];
    for (const [key, offered] of rows) {
      const row = offered.filter((entry) => !isBorrowed(replica, key, entry));
      if (row.length === 0) continue;
      // Who offers it has not heard yet that it is absent by rule.
      if (isBelowFloor(key, row, (wanted) => replica.read(wanted))) continue;
      const before = replica.read(key);
      const after = join(key, [before, row]);
      const change = liveChange(before, after) ?? ofEvidence(before, after, doubted);
      if (!change) continue;
      const news = after.filter((entry) => !findDot(before, entry));
      if (!news.some((entry) => this.#covers(shard, entry))) continue;
      taken.push([key, row]);
      const restored = change.gained.filter((entry) => this.#covers(shard, entry));
      const action = restored.length > 0 ? 'restored' : 'applied';
      const why = action === 'restored' ? 'lost-row' : lostBy(change.lost, after);
      const dots = restored.length > 0 ? restored : news;
      told.push(this.repair(key, { action, cause: cause ?? why, peer, dots }));
    }
    if (taken.length > 0) replica.mergeRows(taken);
    for (const repair of told) this.#options.repairs.onRepair(repair);
    return taken.map(([key]) => key);
  }

  /** Puts what the majority says in the place of an altered entry. */
  replace(rows: readonly KeyedRow[], peer: MemberId | undefined): number {
    const { replica } = this.#options;
    let replaced = 0;
    for (const [key, [good]] of rows) {
      const before = replica.read(key);
      const bad = good && findDot(before, good);
      if (!good || !bad || contentUnder(key, bad) === contentUnder(key, good)) continue;
      replica.replaceRows([[key, replaceEntry(before, good)]]);
      replaced += 1;
      const about = { action: 'restored', cause: 'altered-row', peer, dots: [good] } as const;
      this.#options.repairs.onRepair(this.repair(key, about));
    }
    return replaced;
  }

  /** Takes an entry that nobody vouches for out of its row; it is kept in a fact for the operator. */
  takeOut(key: RowKey, entry: Entry): void {
    const { replica } = this.#options;
    const rest = replica
      .read(key)
      .filter((each) => each.actor !== entry.actor || each.counter !== entry.counter);
    replica.replaceRows([[key, rest]]);
  }

  repair(key: RowKey, about: RepairAbout): Repair {
    const { shard, parts, kind } = splitRowKey(key)!;
    const [channel, uid] = kind === 's' ? parts : kind === 'd' ? [parts[0], parts[3]] : [parts[0]];
    const dots = about.dots.map(({ actor, counter }) => ({ actor, shard, counter }));
    const { action, cause, peer, detail } = about;
    const ofUser = kind === 'p' || kind === 't';
    return {
      ...{ layer: 'peers', action, cause, dots, wallMs: this.#options.runtime.clock.wallMs() },
      ...{ channel: ofUser ? undefined : (channel as ChannelKey) },
      ...{ uid: (ofUser ? channel : uid) as Uid | undefined },
      ...{ peer, detail },
    };
  }

  #covers(shard: number, { actor, counter }: Entry): boolean {
    return this.#options.replica.covers({ actor, shard, from: counter, to: counter });
  }
}

export interface RepairAbout {
  readonly action: RepairAction;
  readonly cause: string;
  readonly peer?: MemberId | undefined;
  readonly dots: readonly Pick<Entry, 'actor' | 'counter'>[];
  readonly detail?: string | undefined;
}

/** `doubted`: also where a row is left that hides what it was. */
function ofEvidence(before: Row, after: Row, doubted?: true): LiveChange | undefined {
  const isNews = before.length === 0 || doubted;
  const news = after.filter((entry) => !findDot(before, entry));
  return isNews && news.length > 0 ? { gained: [], lost: news } : undefined;
}

function lostBy(lost: readonly Entry[], after: Row): string {
  if (lost.length === 0) return 'missed-write';
  return isLive(after) ? 'missed-write' : 'missed-removal';
}
