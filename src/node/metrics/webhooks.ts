import type { Metrics } from '../../observability/metrics.ts';
import type { EndpointState } from '../../webhooks/port.ts';
import type { WebhookService } from '../../webhooks/service.ts';

/** What waits for each receiver, and what came of the rest. */
export function wireWebhooks(
  metrics: Metrics,
  endpoints: readonly string[],
  current: () => WebhookService | undefined,
): void {
  const events = 'holdfast_webhook_events_total';
  for (const endpoint of endpoints) {
    const totals = () => current()?.totals(endpoint);
    const read = (outcome: string, total: () => number | undefined): void =>
      metrics.readCounter(events, { endpoint, outcome }, () => total() ?? 0);
    read('delivered', () => totals()?.delivered);
    read('dropped', () => totals()?.dropped);
    read('taken_over', () => current()?.takenOver(endpoint));
    metrics.readCounter('holdfast_webhook_requests_failed_total', { endpoint }, () => {
      return totals()?.failedRequests ?? 0;
    });
  }
  const each = (value: (state: EndpointState) => number) => () =>
    (current()?.endpoints() ?? []).map((state) => ({
      labels: { endpoint: state.name },
      value: value(state),
    }));
  metrics.readGauge(
    'holdfast_webhook_waiting',
    each(({ waiting }) => waiting),
  );
  metrics.readGauge(
    'holdfast_webhook_oldest_seconds',
    each(({ oldestAgeMs }) => oldestAgeMs / 1000),
  );
  metrics.readGauge(
    'holdfast_webhook_dead_letters',
    each(({ dead }) => dead),
  );
}
