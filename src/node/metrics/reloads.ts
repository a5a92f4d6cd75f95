import type { ReloadOutcome, ReloadResult } from '../../config/reload-port.ts';
import { LISTENER_NAMES } from '../../connections/listener-port.ts';
import type { ListenerSet } from '../../connections/listeners.ts';
import type { Metrics } from '../../observability/metrics.ts';

const RESULTS: readonly ReloadResult[] = ['unchanged', 'applied', 'refused', 'rolled-back'];

/** Reloads of the configuration, and what is turned off; the function takes what became of a reload. */
export function wireReloads(
  metrics: Metrics,
  listeners: Pick<ListenerSet, 'list' | 'toggles'>,
): (outcome: ReloadOutcome) => void {
  const counts = new Map<ReloadResult, number>();
  let last: ReloadOutcome | undefined;
  for (const result of RESULTS) {
    const count = () => counts.get(result) ?? 0;
    metrics.readCounter('holdfast_reloads_total', { result }, count);
  }
  metrics.readGauge('holdfast_reload_failed', () => (last && last.errors.length > 0 ? 1 : 0));
  metrics.readGauge(
    'holdfast_restart_needed_keys',
    () => last?.changes.filter(({ live }) => !live).length ?? 0,
  );
  metrics.readGauge('holdfast_listener_enabled', () =>
    listeners.list().map(({ name, state }) => ({
      labels: { listener: name },
      value: state === 'enabled' ? 1 : 0,
    })),
  );
  for (const listener of LISTENER_NAMES) {
    metrics.readCounter('holdfast_listener_changes_total', { listener }, () =>
      listeners.toggles(listener),
    );
  }
  return (outcome) => {
    counts.set(outcome.result, (counts.get(outcome.result) ?? 0) + 1);
    last = outcome;
  };
}
