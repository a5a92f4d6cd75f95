import type { Repair } from '../../../src/audit/port.ts';
import type { CleanProof, SweepLimits } from '../../../src/cluster/sweep/options.ts';
import { EvidenceCollector } from '../../../src/cluster/sweep/collector.ts';
import { Sweeper } from '../../../src/cluster/sweep/sweeper.ts';
import type { Context } from '../../../src/core/context.ts';
import type { ActorId, MemberId } from '../../../src/core/ids.ts';
import { remove } from '../../../src/core/operation.ts';
import { shardOf } from '../../../src/core/placement.ts';
import { isLive, type Entry, type Row } from '../../../src/core/row.ts';
import { splitRowKey, subscriptionKey, type RowKey } from '../../../src/core/row-key.ts';
import { silentLog } from '../../../src/observability/log.ts';
import { logKey } from '../../../src/storage/layout.ts';
import type { Store } from '../../../src/storage/port.ts';
import { encodeLogRow, encodeRow } from '../../../src/storage/row-codec.ts';
import { StoreSummary } from '../../../src/storage/summary.ts';
import { group, uid } from '../../support/ids.ts';
import { TestCluster, type TestNode } from '../replication/cluster.ts';

export interface Swept {
  readonly node: TestNode;
  readonly store: Store;
  readonly summary: StoreSummary;
  readonly sweeper: Sweeper;
  readonly evidence: EvidenceCollector;
  readonly repairs: Repair[];
  readonly proofs: CleanProof[];
  /** Added to the collector's own generation. */
  collections: number;
}

/** Replicas that sweep, on one virtual time line; nothing sweeps by itself unless `start` is called. */
export class SweptCluster {
  readonly cluster: TestCluster;
  readonly swept = new Map<string, Swept>();
  /** Etcd does not answer. */
  frozen = false;

  constructor(names: readonly string[], limits: Partial<SweepLimits> = {}) {
    this.cluster = new TestCluster(names);
    this.cluster.onOpen = (node, store) => this.#open(node, store, limits);
  }

  static async of(
    names: readonly string[],
    limits: Partial<SweepLimits> = {},
  ): Promise<SweptCluster> {
    const swept = new SweptCluster(names, limits);
    const { cluster } = swept;
    for (const name of names) await cluster.start(name);
    await cluster.until(() => cluster.live(...names), 3_000);
    return swept;
  }

  at(name: string): Swept {
    return this.swept.get(name)!;
  }

  key(i: number): RowKey {
    return subscriptionKey(group(`g${i % 50}`), uid(`u${i}`));
  }

  row(name: string, i: number): Row {
    return this.at(name).node.replica.read(this.key(i));
  }

  live(name: string, i: number): boolean {
    return isLive(this.row(name, i));
  }

  unsubscribe(name: string, i: number): void {
    const { replica } = this.at(name).node;
    const shard = shardOf(group(`g${i % 50}`));
    const key = this.key(i);
    replica.submit(shard, [remove(key, replica.read(key), replica.seen(shard))]);
  }

  /** Everyone has everything that was written. */
  async settle(): Promise<void> {
    const names = [...this.swept.keys()];
    await this.cluster.world.run(2_500);
    await this.cluster.until(() => this.cluster.equal(...names), 20_000);
  }

  /** Writes behind the store's back, log row included, and brings the sums up to it. */
  async damage(name: string, rows: readonly (readonly [RowKey, Row | undefined])[]): Promise<void> {
    const { node, store, summary } = this.at(name);
    for (const [key, row] of rows) {
      const { shard } = splitRowKey(key)!;
      const before = node.replica.read(key);
      const logs = [...before, ...(row ?? [])].map(({ actor, counter }) => {
        const kept = row?.some((each) => each.actor === actor && each.counter === counter);
        const value = kept ? encodeLogRow(key, { offset: 0, count: 1 }) : undefined;
        return { key: logKey(actor, shard, counter), value };
      });
      const value = row && row.length > 0 ? encodeRow(key, row) : undefined;
      store.stage([{ key, value }, ...logs]);
    }
    const shards = new Set(rows.map(([key]) => splitRowKey(key)!.shard));
    for (const shard of shards) {
      await this.cluster.world.runFor(summary.rebuild(shard), 60_000);
    }
  }

  async sweep(from: string, to?: string): Promise<boolean> {
    const { sweeper } = this.at(from);
    return this.cluster.world.runFor(sweeper.sweepNow(to as MemberId | undefined), 60_000);
  }

  /** What was done at a node, as `action cause`. */
  repairs(name: string): string[] {
    return this.at(name).repairs.map(({ action, cause }) => `${action} ${cause}`);
  }

  #open(node: TestNode, store: Store, limits: Partial<SweepLimits>): void {
    const runtime = node.process;
    const { replica, replicator, calls } = node;
    const summary = new StoreSummary({
      ...{ cluster: 'test', store, replica, runtime, log: silentLog, buildShare: 1 },
    });
    const repairs: Repair[] = [];
    const proofs: CleanProof[] = [];
    const roster = (): { epoch: number; others: MemberId[]; frozen: boolean } => {
      const { epoch, members } = this.cluster.roster;
      const others = members.map(({ id }) => id).filter((id) => id !== node.id);
      return { epoch, others, frozen: this.frozen };
    };
    const reportedBy = (member: MemberId, shard: number): Context | undefined =>
      replicator.reportedBy(member, shard);
    const caughtUp = (): boolean => replicator.mayWrite();
    const evidence = new EvidenceCollector({
      ...{ replica, runtime, log: silentLog, roster, reportedBy, caughtUp, calls },
    });
    const sweeper = new Sweeper({
      ...{
        self: node.id,
        replica,
        summary,
        key: summary.key,
        calls,
        runtime,
        log: silentLog,
        limits,
      },
      repairs: { onRepair: (repair) => void repairs.push(repair) },
      ...{ roster, caughtUp, reportedBy },
      linkOf: (member) => replicator.openedTo(member),
      collections: (shard) => this.at(node.id).collections + evidence.generation(shard),
      onLink: (member) => void evidence.onLink(member),
      onClean(proof) {
        proofs.push(proof);
        evidence.onClean(proof);
      },
    });
    summary.start();
    this.swept.set(node.id, {
      node,
      store,
      summary,
      sweeper,
      evidence,
      repairs,
      proofs,
      collections: 0,
    });
  }
}

export function altered(row: Row): Row {
  return row.map((entry) => ({ ...entry, value: new Uint8Array([9, 9, 9]) }));
}

export function strange(actor: string, counter: number): Entry {
  return {
    ...{ actor: actor.repeat(16) as ActorId, counter, hlc: 1, tag: 0, context: [] },
    value: new Uint8Array(8),
  };
}
