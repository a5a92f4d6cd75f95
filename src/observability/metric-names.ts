/**
 * Every metric of the project: its name, what it says, its labels. The alert rules and the dashboard of
 * deploy/ speak of these names.
 */
interface Definition {
  readonly help: string;
  readonly labels: readonly string[];
}

interface HistogramDefinition {
  readonly help: string;
  /** Seconds. */
  readonly buckets: readonly number[];
}

export const COUNTERS = {
  holdfast_reloads_total: metric('Times that the configuration was read again', 'result'),
  holdfast_listener_changes_total: metric('Changes of the state of a listener', 'listener'),
  holdfast_deliveries_total: metric('Messages handed to sessions of this node'),
  holdfast_publishes_total: metric('Messages taken, by outcome', 'outcome'),
  holdfast_recvacks_total: metric('Acknowledgements of messages by clients'),
  holdfast_subscription_operations_total: metric(
    'Subscribers added, removed or refused by calls of this node',
    'action',
  ),
  holdfast_acknowledged_short_total: metric(
    'Operations acknowledged before every member routed by them or a second disk had them',
    'missing',
  ),
  holdfast_connects_total: metric('Client connects, by outcome', 'outcome'),
  holdfast_closes_total: metric('Client connections ended, by close code', 'code'),
  holdfast_frames_total: metric('Messages that came over client sockets'),
  holdfast_frames_malformed_total: metric('Frames from clients that could not be read', 'kind'),
  holdfast_frames_refused_total: metric('Frames from clients beyond a limit', 'limit'),
  holdfast_upgrades_refused_total: metric('WebSocket upgrades refused, by reason', 'reason'),
  holdfast_bridge_refusals_total: metric(
    'Connections refused on the ports of OneBot bridges, by HTTP status',
    'status',
  ),
  holdfast_tls_handshakes_failed_total: metric(
    'Connections that came to no agreement on TLS; not told by uWS and gRPC',
    'listener',
  ),
  holdfast_http_requests_total: metric('Requests of the HTTP API', 'route', 'status'),
  holdfast_admin_calls_total: metric('Calls of the admin service', 'method', 'status'),
  holdfast_operations_applied_total: metric('Operations of peers applied here', 'source'),
  holdfast_pulls_total: metric('Pulls of writes from peers, by outcome', 'outcome'),
  holdfast_snapshots_total: metric('Snapshots taken from peers'),
  holdfast_link_refusals_total: metric(
    'Streams of peers and strangers refused here, by who',
    'who',
  ),
  holdfast_damaged_rows_total: metric('Rows whose checksum does not hold, found on reading'),
  holdfast_divergence_found_total: metric(
    'Divergences that audits and sweeps found, by the layer they compared',
    'layer',
    'cause',
  ),
  holdfast_repairs_total: metric('Divergences that were put right', 'layer', 'action', 'cause'),
  holdfast_disk_audit_passes_total: metric('Whole passes of the audit over the store'),
  holdfast_sweeps_total: metric('Sweeps with peers that ended, by outcome', 'outcome'),
  holdfast_sweep_differences_total: metric('Entries in which a peer and this node differed'),
  holdfast_sweep_bytes_total: metric('Asked of peers and answered by them in sweeps of this node'),
  holdfast_sweep_seconds_total: metric(
    'Spent in sweeps of this node, the answers of peers included',
  ),
  holdfast_symbols_rebuilt_total: metric(
    'Shards whose sums and symbols were built again out of turn, because they were in doubt',
  ),
  holdfast_delivery_gaps_total: metric(
    'Times sessions had missed messages of a channel and were brought them, by how it was found',
    'found',
  ),
  holdfast_webhook_events_total: metric(
    'Events for receivers, by what came of them: delivered, taken_over, or dropped for want of room',
    'endpoint',
    'outcome',
  ),
  holdfast_webhook_requests_failed_total: metric(
    'Requests that a receiver did not answer with 200',
    'endpoint',
  ),
  holdfast_rebuilds_total: metric(
    'Stores set aside and filled again from a peer, by cause',
    'cause',
  ),
  holdfast_connection_transitions_total: metric(
    'Changes of state of kept connections that this node decided',
    'from',
    'to',
  ),
  holdfast_connection_refused_total: metric(
    'Steps of kept connections that were illegal, or told by an attempt that was over',
    'why',
  ),
  holdfast_connection_given_up_total: metric(
    'Times a kept connection was given up for a while, its retries used up',
  ),
} as const satisfies Record<string, Definition>;

export const GAUGES = {
  holdfast_connections: metric('Connections that the cluster keeps open, by state', 'state'),
  holdfast_connection_age_seconds: metric(
    'For how long the longest in this state has been in it',
    'state',
  ),
  holdfast_connection_overdue_seconds: metric(
    'How far the most overdue kept connection is past the end of its state, 0 for none',
  ),
  holdfast_ready: metric('1 while the node is ready'),
  holdfast_canary_delivers: metric('1 while probes arrive by this path: own, or a peer', 'path'),
  holdfast_sessions: metric('Open client sessions, by protocol', 'protocol'),
  holdfast_users_online: metric('Users with a session here'),
  holdfast_users_over_limit: metric('Users here with more channels than one may receive'),
  holdfast_index_channels: metric('Channels in the routing index'),
  holdfast_members: metric('Members of the cluster, by what this node knows of them', 'state'),
  holdfast_roster_epoch: metric('Epoch of the roster'),
  holdfast_membership_frozen: metric('1 while the roster is frozen because etcd does not answer'),
  holdfast_peer_live: metric('1 while both streams with the peer are open and heard', 'peer'),
  holdfast_peer_lagging: metric('1 while the peer does not keep up and pulls by itself', 'peer'),
  holdfast_replication_lag_seconds: metric(
    'For how long the peer has lacked something that is on this disk',
    'peer',
  ),
  holdfast_replication_holes: metric(
    'Ranges of writes that are missing below later ones on this disk',
  ),
  holdfast_replication_behind: metric('Writes the peer has and this node lacks', 'peer'),
  holdfast_replication_unacknowledged_bytes: metric('Sent to the peer and not on its disk', 'peer'),
  holdfast_replication_heard_seconds: metric('Since the peer was last heard', 'peer'),
  holdfast_unverified_age_seconds: metric(
    'Since what was proved longest ago: shards equal with a peer, rows, index, topics, clients',
    'peer',
    'layer',
  ),
  holdfast_disk_rows_doubtful: metric('Rows that are lost or damaged here and not restored yet'),
  holdfast_evidence_held: metric('Removals kept as evidence until every member has seen them'),
  holdfast_operation_log_entries: metric('Entries of the operation log'),
  holdfast_store_ok: metric('1 while the store takes writes, 0 while it fails'),
  holdfast_store_catching_up: metric('1 while a new or rebuilt store takes no writes'),
  holdfast_webhook_waiting: metric('Events that wait here to be delivered', 'endpoint'),
  holdfast_webhook_oldest_seconds: metric('Age of the oldest event that waits here', 'endpoint'),
  holdfast_webhook_dead_letters: metric('Events given up and kept for replay', 'endpoint'),
  holdfast_certificate_expires_seconds: metric(
    'Until the certificate in use of a listener expires',
    'listener',
  ),
  holdfast_reload_failed: metric('1 where the last reload of the configuration was not taken'),
  holdfast_restart_needed_keys: metric('Changed keys of the configuration that need a restart'),
  holdfast_listener_enabled: metric('1 while a listener takes connections', 'listener'),
  holdfast_staged_bytes: metric('Written and not on disk yet'),
} as const satisfies Record<string, Definition>;

export const HISTOGRAMS = {
  holdfast_publish_seconds: histogram(
    'From the request to the acknowledgement of a message, of one in sixteen',
  ),
} as const satisfies Record<string, HistogramDefinition>;

export type CounterName = keyof typeof COUNTERS;
export type GaugeName = keyof typeof GAUGES;
export type HistogramName = keyof typeof HISTOGRAMS;

/** Exactly the labels of the metric, each a string. */
export type LabelsOf<Metric extends Definition> = Readonly<
  Record<Metric['labels'][number], string>
>;

function metric<const Labels extends readonly string[]>(help: string, ...labels: Labels) {
  return { help, labels };
}

function histogram(help: string): HistogramDefinition {
  return { help, buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5] };
}
