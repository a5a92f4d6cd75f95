import { EasyClient } from '../../test/support/clients/easy-client.ts';
import { startSharedCluster, type TestCluster } from '../../test/support/cluster.ts';
import { until } from '../../test/support/until.ts';
import { percentile } from './heal.ts';
import type { Profile } from './heal-rig.ts';
import { atOnce, loseDelta, REAL_KINDS, RepairWatch, type RealKind } from './heal-real-kinds.ts';
import type { Row } from './row.ts';

const NODES = 3;
/** Between two injections, on average. */
const GAP_MS = 200;
/** What takes more than so many times its bound is given up. */
const PATIENCE = 3;
/** The first pass of every audit is over. */
const WARM_MS = 20_000;

/**
 * Time from damage to repair on three real processes without faults but these, by the admin service's fault
 * injection; repaired is when the node tells of the repair. Both profiles, one after the other.
 */
export async function benchHealReal(injections: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const profile of ['default', 'fast'] as const) {
    const cluster = await startSharedCluster({
      ...{ nodes: NODES, etcd: false },
      config: { audit: { profile, fault_injection: 'on' }, log: { level: 'warn' } },
    });
    const watch = new RepairWatch(cluster);
    try {
      await pause(WARM_MS);
      for (const kind of REAL_KINDS) {
        const timesMs = await measure(kind, { cluster, watch, injections, profile });
        rows.push(toRow(kind, { profile, timesMs }));
      }
    } finally {
      watch.stop();
      await cluster.end();
    }
  }
  return rows;
}

interface Measure {
  readonly cluster: TestCluster;
  readonly watch: RepairWatch;
  readonly injections: number;
  readonly profile: Profile;
}

/** Ascending, in milliseconds; infinite where no repair came. */
async function measure(kind: RealKind, of: Measure): Promise<readonly number[]> {
  const { cluster, watch, injections, profile } = of;
  const patienceMs = PATIENCE * boundOf(kind, profile);
  const clients: EasyClient[] = [];
  const times: Promise<number>[] = [];
  try {
    const targets = Array.from({ length: injections }, (_, index) => ({
      ...{ cluster, watch, k: 1 + (index % NODES), patienceMs },
      ...{ channelId: `${kind.name}-${profile}-${index}`, uid: `user-${index}` },
    }));
    for (const { channelId, uid, k } of targets) {
      await cluster.admin(k).subscribe({ channelId, channelType: 2, uids: [uid] });
      if (!kind.connected) continue;
      const client = new EasyClient({ url: cluster.addresses(k).client, uid });
      clients.push(client);
      await client.connect();
    }
    await until('the tables are equal', async () => {
      return new Set((await cluster.digests()).values()).size === 1;
    });
    // Sessions are looked at once soon after they came, which is not what is measured.
    await pause(2_000);
    for (const target of targets) {
      await pause(2 * GAP_MS * Math.random());
      const time = kind.fault === 'drop-deltas' ? loseDelta(target) : atOnce(kind, target);
      if (kind.alone) await time;
      times.push(time);
    }
    return (await Promise.all(times)).sort((a, b) => a - b);
  } finally {
    for (const client of clients) client.stop();
  }
}

function toRow(
  kind: RealKind,
  { profile, timesMs }: { profile: Profile; timesMs: readonly number[] },
): Row {
  const [p50, max] = [percentile(timesMs, 0.5), timesMs.at(-1)!];
  return {
    ...{ name: `${kind.name}, real nodes, ${profile} profile, p99`, unit: 's' },
    value: percentile(timesMs, 0.99) / 1000,
    target: { value: boundOf(kind, profile) / 1000, sense: 'at most' },
    note: `p50 ${(p50 / 1000).toFixed(2)}, max ${(max / 1000).toFixed(2)}, n ${timesMs.length}`,
  };
}

function boundOf({ boundMs }: RealKind, profile: Profile): number {
  return profile === 'fast' ? boundMs / 5 : boundMs;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
