import type { MemberId } from '../../core/ids.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { NodeCore } from '../core.ts';

/** What sweeps and audits have done, and for how long nothing was proved. */
export function wireAudits(
  metrics: Metrics,
  core: () => NodeCore | undefined,
  monotonicMs: () => number,
): void {
  metrics.readCounter('holdfast_disk_audit_passes_total', {}, () => {
    return core()?.upkeep.diskAudit.passes() ?? 0;
  });
  const counters = () => core()?.sweeps.sweep.counters;
  const sweeps = 'holdfast_sweeps_total';
  metrics.readCounter(sweeps, { outcome: 'clean' }, () => counters()?.clean ?? 0);
  metrics.readCounter(sweeps, { outcome: 'failed' }, () => counters()?.failed ?? 0);
  metrics.readCounter('holdfast_sweep_differences_total', {}, () => counters()?.differences ?? 0);
  metrics.readCounter('holdfast_sweep_rebuilds_total', {}, () => counters()?.rebuilds ?? 0);
  metrics.readGauge('holdfast_evidence_held', () => core()?.sweeps.evidence.held() ?? 0);
  metrics.readGauge('holdfast_operation_log_entries', () => core()?.journal.size() ?? 0);
  metrics.readGauge('holdfast_unverified_age_seconds', () => {
    const oldest = new Map<MemberId, number>();
    for (const { peer, ageMs } of core()?.sweeps.sweep.unverifiedAges() ?? []) {
      oldest.set(peer, Math.max(oldest.get(peer) ?? 0, ageMs));
    }
    const passedMs = core()?.upkeep.diskAudit.passedMs();
    const disk = passedMs === undefined ? [] : [['', 'disk', monotonicMs() - passedMs] as const];
    const peers = [...oldest].map(([peer, ageMs]) => [peer, 'peers', ageMs] as const);
    return [...peers, ...disk].map(([peer, layer, ageMs]) => ({
      labels: { peer, layer },
      value: ageMs / 1000,
    }));
  });
}
