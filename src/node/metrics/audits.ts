import type { MemberId } from '../../core/ids.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { NodeCore } from '../core.ts';

/** What sweeps and audits have done, and for how long nothing was proved. */
export function wireAudits(
  metrics: Metrics,
  core: () => NodeCore | undefined,
  monotonicMs: () => number,
): void {
  const total = (pick: (core: NodeCore) => number) => () => {
    const parts = core();
    return parts ? pick(parts) : 0;
  };
  metrics.readCounter(
    'holdfast_disk_audit_passes_total',
    {},
    total(({ upkeep }) => upkeep.diskAudit.passes()),
  );
  metrics.readGauge(
    'holdfast_disk_rows_doubtful',
    total(({ upkeep }) => upkeep.diskAudit.standing()),
  );
  metrics.readCounter(
    'holdfast_symbols_rebuilt_total',
    {},
    total(({ upkeep }) => upkeep.summary.rebuilds()),
  );
  const gaps = 'holdfast_delivery_gaps_total';
  metrics.readCounter(
    gaps,
    { found: 'audit' },
    total(({ sessions }) => sessions.replay.gaps),
  );
  metrics.readCounter(
    gaps,
    { found: 'client' },
    total(({ lists }) => lists.gaps),
  );
  metrics.readGauge(
    'holdfast_evidence_held',
    total(({ sweeps }) => sweeps.evidence.held()),
  );
  metrics.readGauge(
    'holdfast_operation_log_entries',
    total(({ journal }) => journal.size()),
  );
  wireSweeps(metrics, total);
  metrics.readGauge('holdfast_unverified_age_seconds', () => {
    const parts = core();
    if (!parts) return [];
    const nowMs = monotonicMs();
    return [...peersAges(parts), ...layersAges(parts, nowMs)].map(([peer, layer, ageMs]) => ({
      labels: { peer, layer },
      value: ageMs / 1000,
    }));
  });
}

function wireSweeps(
  metrics: Metrics,
  total: (pick: (core: NodeCore) => number) => () => number,
): void {
  const counted = (pick: (counters: NodeCore['sweeps']['sweep']['counters']) => number) =>
    total(({ sweeps }) => pick(sweeps.sweep.counters));
  const sweeps = 'holdfast_sweeps_total';
  metrics.readCounter(
    sweeps,
    { outcome: 'clean' },
    counted(({ clean }) => clean),
  );
  metrics.readCounter(
    sweeps,
    { outcome: 'failed' },
    counted(({ failed }) => failed),
  );
  metrics.readCounter(
    'holdfast_sweep_differences_total',
    {},
    counted(({ differences }) => differences),
  );
  metrics.readCounter(
    'holdfast_sweep_seconds_total',
    {},
    counted(({ tookMs }) => tookMs / 1000),
  );
  metrics.readCounter(
    'holdfast_sweep_bytes_total',
    {},
    total(({ calls }) => calls.bytesAsked('sweep/')),
  );
}

type Age = readonly [peer: MemberId | '', layer: string, ageMs: number];

/** Of each peer the shard that was proved equal longest ago. */
function peersAges({ sweeps }: NodeCore): readonly Age[] {
  const oldest = new Map<MemberId, number>();
  for (const { peer, ageMs } of sweeps.sweep.unverifiedAges()) {
    oldest.set(peer, Math.max(oldest.get(peer) ?? 0, ageMs));
  }
  return [...oldest].map(([peer, ageMs]) => [peer, 'peers', ageMs] as const);
}

/** A layer that nothing compares now, as clients where none knows of a digest, is left out. */
function layersAges({ upkeep, sessions, lists }: NodeCore, nowMs: number): readonly Age[] {
  const layers = [
    ['disk', upkeep.diskAudit.verifiedMs()],
    ['index', sessions.indexAudit.verifiedMs()],
    ['sockets', sessions.socketAudit.verifiedMs()],
    ['client', lists.verifiedMs()],
  ] as const;
  return layers.flatMap(([layer, atMs]) =>
    atMs === undefined ? [] : [['', layer, nowMs - atMs] as const],
  );
}
