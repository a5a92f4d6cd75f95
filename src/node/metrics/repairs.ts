import type { RepairListener } from '../../audit/port.ts';
import type { Metrics } from '../../observability/metrics.ts';

/** The causes are a fixed set; a defect that makes them up must not make endless time series. */
const CAUSES_MAX = 64;

/** Counts every divergence by where it was found, and by what was done about it. */
export function countRepairs(metrics: Pick<Metrics, 'count'>): RepairListener {
  const causes = new Set<string>();
  return {
    onRepair({ layer, action, cause: said }) {
      if (causes.size < CAUSES_MAX) causes.add(said);
      const cause = causes.has(said) ? said : 'other';
      metrics.count('holdfast_divergence_found_total', { layer, cause });
      if (action === 'alarm') return;
      metrics.count('holdfast_repairs_total', { layer, action, cause });
    },
  };
}
