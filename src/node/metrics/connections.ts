import { overdueSeconds } from '../../connections/connections.ts';
import { isLegal } from '../../connections/state-machine.ts';
import { CONNECTION_STATES } from '../../core/kinds/connection.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { NodeCore } from '../core.ts';

/** Kept connections: how many are in which state and for how long, and what was decided here. */
export function wireConnections(
  metrics: Metrics,
  core: () => NodeCore | undefined,
  wallMs: () => number,
): void {
  const kept = () => core()?.connections;
  const rows = () => kept()?.list() ?? [];
  metrics.readGauge('holdfast_connections', () =>
    CONNECTION_STATES.map((state) => ({
      labels: { state },
      value: rows().filter((row) => row.state === state).length,
    })),
  );
  metrics.readGauge('holdfast_connection_age_seconds', () =>
    CONNECTION_STATES.map((state) => {
      const since = rows().flatMap((row) => (row.state === state ? [row.sinceMs] : []));
      const oldest = Math.min(...since, wallMs());
      return { labels: { state }, value: (wallMs() - oldest) / 1000 };
    }),
  );
  metrics.readGauge('holdfast_connection_overdue_seconds', () => overdueSeconds(rows(), wallMs()));
  for (const from of ['new', ...CONNECTION_STATES] as const) {
    for (const to of CONNECTION_STATES.filter((state) => isLegal(from, state))) {
      metrics.readCounter(
        'holdfast_connection_transitions_total',
        { from, to },
        () => kept()?.counts().transitions.get(`${from}>${to}`) ?? 0,
      );
    }
  }
  const refused = 'holdfast_connection_refused_total';
  metrics.readCounter(refused, { why: 'illegal' }, () => kept()?.counts().illegal ?? 0);
  metrics.readCounter(refused, { why: 'late' }, () => kept()?.counts().late ?? 0);
  metrics.readCounter('holdfast_connection_given_up_total', {}, () => kept()?.counts().gaveUp ?? 0);
}
