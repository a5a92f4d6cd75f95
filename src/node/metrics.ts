import type { CanaryState } from '../audit/canary.ts';
import type { LinkCounters } from '../cluster/link/grpc-options.ts';
import { CLOSE_CODES, OTHER_CLOSE_CODE } from '../gateway/counters.ts';
import type { ClientGateway } from '../gateway/gateway.ts';
import type { NodeCore } from './core.ts';
import { wireAudits } from './metrics/audits.ts';
import { wireConnections } from './metrics/connections.ts';
import type { Outcomes } from './outcomes.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Membership } from '../cluster/membership/port.ts';
import type { Store } from '../storage/port.ts';

export interface MeasuredParts {
  readonly core: NodeCore;
  readonly gateway: ClientGateway;
  readonly store: Store;
  readonly membership: Membership;
  readonly links: () => Readonly<LinkCounters>;
  readonly ready: () => boolean;
  readonly canary: () => CanaryState | undefined;
  readonly wallMs: () => number;
  readonly monotonicMs: () => number;
}

/** `current` is asked at each scrape: a rebuild replaces the parts. */
export function wireMetrics(metrics: Metrics, current: () => MeasuredParts | undefined): void {
  const read = (pick: (parts: MeasuredParts) => number) => () => {
    const parts = current();
    return parts ? pick(parts) : 0;
  };
  metrics.readGauge(
    'holdfast_ready',
    read(({ ready }) => (ready() ? 1 : 0)),
  );
  metrics.readGauge(
    'holdfast_index_channels',
    read(({ core }) => core.routing.channelCount()),
  );
  metrics.readGauge(
    'holdfast_users_over_limit',
    read(({ core }) => core.routing.overLimitCount()),
  );
  metrics.readGauge(
    'holdfast_users_online',
    read(({ core }) => core.routing.userCount()),
  );
  metrics.readGauge(
    'holdfast_staged_bytes',
    read(({ store }) => store.stagedBytes()),
  );
  metrics.readGauge(
    'holdfast_store_ok',
    read(({ store }) => (store.status().state === 'ok' ? 1 : 0)),
  );
  metrics.readGauge(
    'holdfast_store_catching_up',
    read(({ core }) => (core.replicator.mayWrite() ? 0 : 1)),
  );
  metrics.readGauge(
    'holdfast_roster_epoch',
    read(({ membership }) => membership.roster().epoch),
  );
  metrics.readGauge(
    'holdfast_membership_frozen',
    read(({ membership }) => (membership.status().state === 'frozen' ? 1 : 0)),
  );
  metrics.readCounter(
    'holdfast_damaged_rows_total',
    {},
    read(({ core }) => core.replica.damagedRows()),
  );
  metrics.readGauge('holdfast_canary_delivers', () =>
    (current()?.canary()?.paths ?? []).map(({ path, delivers }) => ({
      labels: { path },
      value: delivers ? 1 : 0,
    })),
  );
  wireAudits(
    metrics,
    () => current()?.core,
    () => current()?.monotonicMs() ?? 0,
  );
  wireConnections(
    metrics,
    () => current()?.core,
    () => current()?.wallMs() ?? 0,
  );
  wireOutcomes(metrics, current);
  wireGateway(metrics, current);
  wirePeers(metrics, current);
  wireLinks(metrics, current);
}

function wireOutcomes(metrics: Metrics, current: () => MeasuredParts | undefined): void {
  const read = (name: Exclude<keyof Outcomes, 'observePublish'>) => () =>
    current()?.core.outcomes[name] ?? 0;
  const publishes = 'holdfast_publishes_total';
  metrics.readCounter(publishes, { outcome: 'acknowledged' }, read('published'));
  metrics.readCounter(publishes, { outcome: 'refused' }, read('publishesRefused'));
  const changes = 'holdfast_subscription_operations_total';
  metrics.readCounter(changes, { action: 'subscribe' }, read('subscribed'));
  metrics.readCounter(changes, { action: 'unsubscribe' }, read('unsubscribed'));
  metrics.readCounter(changes, { action: 'refused' }, read('subscriptionsRefused'));
  const short = 'holdfast_acknowledged_short_total';
  metrics.readCounter(short, { missing: 'disk' }, read('shortOfDisk'));
  metrics.readCounter(short, { missing: 'routing' }, read('shortOfRouting'));
}

function wireGateway(metrics: Metrics, current: () => MeasuredParts | undefined): void {
  const counters = () => current()?.gateway.counters;
  metrics.readCounter('holdfast_deliveries_total', {}, () => counters()?.deliveries ?? 0);
  metrics.readCounter('holdfast_frames_total', {}, () => counters()?.framesIn ?? 0);
  metrics.readCounter('holdfast_recvacks_total', {}, () => counters()?.acknowledged ?? 0);
  metrics.readCounter(
    'holdfast_connects_total',
    { outcome: 'accepted' },
    () => counters()?.connectsAccepted ?? 0,
  );
  metrics.readCounter(
    'holdfast_connects_total',
    { outcome: 'refused' },
    () => counters()?.connectsRefused ?? 0,
  );
  metrics.readCounter(
    'holdfast_upgrades_refused_total',
    { reason: 'admission' },
    () => counters()?.upgradesRefused ?? 0,
  );
  for (const kind of ['malformed', 'unknown-method', 'too-large', 'not-connected'] as const) {
    metrics.readCounter(
      'holdfast_frames_malformed_total',
      { kind },
      () => counters()?.frameErrors.get(kind) ?? 0,
    );
  }
  metrics.readCounter(
    'holdfast_frames_refused_total',
    { limit: 'rate' },
    () => counters()?.frameErrors.get('rate') ?? 0,
  );
  for (const code of [...CLOSE_CODES, OTHER_CLOSE_CODE]) {
    metrics.readCounter(
      'holdfast_closes_total',
      { code: code === OTHER_CLOSE_CODE ? 'other' : String(code) },
      () => counters()?.closes.get(code) ?? 0,
    );
  }
  metrics.readGauge('holdfast_sessions', () => {
    const count = { 'json-rpc': 0, wkproto: 0 };
    for (const session of current()?.core.services.sessions.sessions() ?? []) {
      count[session.protocol] += 1;
    }
    return Object.entries(count).map(([protocol, value]) => ({ labels: { protocol }, value }));
  });
}

function wireLinks(metrics: Metrics, current: () => MeasuredParts | undefined): void {
  const counters = () => current()?.core.replicator.counters;
  const links = () => current()?.links();
  const refusals = 'holdfast_link_refusals_total';
  metrics.readCounter(refusals, { who: 'stranger' }, () => links()?.strangersRefused ?? 0);
  metrics.readCounter(
    refusals,
    { who: 'peer' },
    () => (links()?.peersRefused ?? 0) + (counters()?.refused ?? 0),
  );
  metrics.readCounter(
    'holdfast_operations_applied_total',
    { source: 'stream' },
    () => counters()?.operationsReceived ?? 0,
  );
  metrics.readCounter(
    'holdfast_operations_applied_total',
    { source: 'pull' },
    () => counters()?.operationsPulled ?? 0,
  );
  const pulls = 'holdfast_pulls_total';
  metrics.readCounter(pulls, { outcome: 'asked' }, () => counters()?.pulls ?? 0);
  metrics.readCounter(pulls, { outcome: 'failed' }, () => counters()?.pullsFailed ?? 0);
  metrics.readCounter('holdfast_snapshots_total', {}, () => counters()?.snapshots ?? 0);
}

function wirePeers(metrics: Metrics, current: () => MeasuredParts | undefined): void {
  const peers = () => current()?.core.replicator.peers() ?? [];
  metrics.readGauge('holdfast_peer_live', () =>
    peers().map(({ member, live }) => ({ labels: { peer: member }, value: live ? 1 : 0 })),
  );
  metrics.readGauge('holdfast_peer_lagging', () =>
    peers().map(({ member, lagging }) => ({ labels: { peer: member }, value: lagging ? 1 : 0 })),
  );
  metrics.readGauge('holdfast_replication_behind', () =>
    peers().map(({ member, behind }) => ({ labels: { peer: member }, value: behind })),
  );
  metrics.readGauge('holdfast_replication_lag_seconds', () =>
    peers().map(({ member, lagMs }) => ({ labels: { peer: member }, value: lagMs / 1000 })),
  );
  metrics.readGauge('holdfast_replication_holes', () => {
    const rows = current()?.core.replica.closedActors().openRows() ?? [];
    return rows.reduce((sum, { above }) => sum + above.length / 2, 0);
  });
  metrics.readGauge('holdfast_replication_unacknowledged_bytes', () =>
    peers().map((peer) => ({ labels: { peer: peer.member }, value: peer.unacknowledgedBytes })),
  );
  metrics.readGauge('holdfast_replication_heard_seconds', () => {
    const now = current()?.wallMs() ?? 0;
    return peers()
      .filter((peer) => peer.lastHeardMs !== undefined)
      .map((peer) => ({ labels: { peer: peer.member }, value: (now - peer.lastHeardMs!) / 1000 }));
  });
  metrics.readGauge('holdfast_members', () => {
    const parts = current();
    if (!parts) return [];
    const rostered = parts.membership.roster().members.length;
    const live = parts.membership.live().size;
    return [
      { labels: { state: 'live' }, value: live },
      { labels: { state: 'suspect' }, value: Math.max(0, rostered - live) },
    ];
  });
}
