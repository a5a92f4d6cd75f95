import type { Layer, RepairAction, RepairListener } from '../../audit/port.ts';
import type { Metrics } from '../../observability/metrics.ts';

/** The causes are a fixed set; a defect that makes them up must not make endless time series. */
const CAUSES_MAX = 64;

/**
 * What is known to happen, by layer: the action, then its causes. Each is 0 from the start, so that the
 * first one already is an increase to alert on.
 */
const KNOWN: readonly (readonly [Layer, RepairAction, ...string[]])[] = [
  ['peers', 'restored', 'lost-row', 'altered-row'],
  ['peers', 'applied', 'missed-write', 'missed-removal', 'vector-raised'],
  ['peers', 'rebuilt', 'symbols'],
  ['peers', 'quarantined', 'unknown-write', 'dot-of-another-row'],
  ['peers', 'alarm', 'no-majority', 'stuck-stream', 'quarantine-full', 'dot-of-another-row'],
  ['disk', 'rebuilt', 'sums-differ', 'reverse-row-missing', 'reverse-row-stale', 'log-row-missing'],
  ['disk', 'rebuilt', 'log-row-left-over'],
  ['disk', 'quarantined', 'row-damaged'],
  ['disk', 'alarm', 'row-damaged', 'row-lost', 'row-unknown'],
  ['index', 'joined', 'entry-lost'],
  ['index', 'left', 'entry-without-subscription'],
  ['index', 'rebuilt', 'sum-wrong'],
  ['index', 'alarm', 'row-missing'],
  ['sockets', 'joined', 'topic-lost'],
  ['sockets', 'left', 'topic-without-entry'],
  ['sockets', 'rebuilt', 'count-wrong'],
  ['interest', 'rebuilt', 'copy-altered'],
  ['client', 'applied', 'messages-missed'],
  ['messages', 'rebuilt', 'membership-missing', 'conversation-missing'],
  ['canary', 'alarm', 'own-path-silent', 'peer-path-silent'],
];

/** Counts every divergence by where it was found, and by what was done about it. */
export function countRepairs(metrics: Pick<Metrics, 'count'>): RepairListener {
  const causes = new Set<string>();
  for (const [layer, action, ...known] of KNOWN) {
    for (const cause of known) {
      causes.add(cause);
      metrics.count('holdfast_divergence_found_total', { layer, cause }, 0);
      if (action === 'alarm') continue;
      metrics.count('holdfast_repairs_total', { layer, action, cause }, 0);
    }
  }
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
