import { z } from 'zod';
import { MEMBERS_MAX } from '../core/member.ts';
import { WEBHOOK_EVENTS } from '../webhooks/port.ts';
import * as field from './field.ts';

const KB = 1024;
const MB = 1024 * KB;

const memberId = () =>
  field.text(/^[A-Za-z0-9._-]{1,64}$/, '1 to 64 of the characters A-Z a-z 0-9 . _ -');

const slot = () =>
  field.integer({ from: 0, to: MEMBERS_MAX - 1, unit: 'a number of its own for each member' });

const cluster = field.section({
  id: field
    .text(/^[A-Za-z0-9._-]{1,64}$/, '1 to 64 of the characters A-Z a-z 0-9 . _ -')
    .default('holdfast'),
  secret: field.secret(),
  slots: field.integer({ from: 1, to: MEMBERS_MAX }).optional(),
});

const node = field.section({
  id: memberId().optional(),
  slot: slot().optional(),
  data_dir: field.text(/^[^\0]{1,1024}$/, 'a folder').default('data/{id}'),
  shutdown_grace_ms: field.milliseconds(0, 600_000).default(10_000),
  certificates_check_seconds: field.seconds(0, 3600).default(10),
  reload_check_seconds: field.seconds(0, 3600).default(1),
});

const member = field.section({
  id: memberId(),
  slot: slot(),
  peer_address: field.hostAndPort(),
  client_address: field.url(['ws', 'wss'], 'ws://10.0.0.1:5200'),
  http_address: field.url(['http', 'https'], 'http://10.0.0.1:5001'),
  admin_address: field.hostAndPort(),
});

const membership = field.section({
  mode: field.choice(['static', 'etcd']).default('static'),
  etcd: field
    .section({
      endpoints: field
        .listOf(field.url(['http', 'https'], 'http://127.0.0.1:2379'), {
          max: 16,
          what: 'addresses',
        })
        .min(1, { error: 'at least one address' })
        .default(['http://127.0.0.1:2379']),
    })
    .prefault({}),
  lease_seconds: field.seconds(2, 600).default(10),
  relist_seconds: field.seconds(1, 3600).default(60),
  call_deadline_ms: field.milliseconds(50, 60_000).default(2000),
  forget_after_hours: field.integer({ from: 1, to: 8760, unit: 'hours' }).default(24),
});

const pemFile = () => field.text(/^[^\0]{1,1024}$/, 'the path of a PEM file').optional();
const ownPair = { certificate_file: pemFile(), key_file: pemFile() };

const open = (portDefault: number, address: z.ZodType<string>) =>
  field
    .section({
      enabled: field.flag().default(true),
      ...listener(portDefault, address),
      tls: field.section(ownPair).prefault({}),
    })
    .prefault({});

/** With an authority whoever connects needs a certificate too. */
const proving = (portDefault: number) =>
  field
    .section({
      ...listener(portDefault, field.hostAndPort()),
      tls: field.section({ ...ownPair, ca_file: pemFile() }).prefault({}),
    })
    .prefault({});

const listen = field.section({
  client: open(5200, field.url(['ws', 'wss'], 'ws://chat.example.com:5200')),
  http: open(5001, field.url(['http', 'https'], 'http://chat.example.com:5001')),
  admin: proving(5300),
  peer: proving(7100),
});

const storage = field.section({
  sync: field.choice(['commit', 'interval', 'os']).default('commit'),
  sync_interval_ms: field.milliseconds(1, 60_000).default(100),
  group_wait_ms: field.milliseconds(0, 1000).default(1),
  group_bytes: field.bytes(KB, 16 * MB).default(64 * KB),
  cache_bytes: field.bytes(MB, 64 * KB * MB).default(16 * MB),
  write_buffer_bytes: field.bytes(MB, KB * MB).default(16 * MB),
  staged_bytes_max: field.bytes(64 * KB, KB * MB).default(32 * MB),
});

const replication = field.section({
  heartbeat_ms: field.milliseconds(50, 60_000).default(1000),
  unacknowledged_bytes_max: field.bytes(64 * KB, 256 * MB).default(2 * MB),
  frame_bytes: field.bytes(KB, MB).default(64 * KB),
  pull_bytes: field.bytes(64 * KB, 64 * MB).default(MB),
  snapshot_threshold_dots: field.integer({ from: 1000, to: 1e9, unit: 'writes' }).default(200_000),
  acknowledge_timeout_ms: field.milliseconds(0, 60_000).default(250),
  second_disk_timeout_ms: field.milliseconds(0, 60_000).default(1000),
  reconnect_ms_max: field.milliseconds(50, 600_000).default(5000),
});

const sweep = field.section({
  interval_ms: field.milliseconds(100, 600_000).default(10_000),
  repairs_per_second: field.integer({ from: 1, to: 1e6, unit: 'rows' }).default(5000),
});

const audit = field.section({
  profile: field.choice(['default', 'fast']).default('default'),
  operation_log_entries: field.integer({ from: 1000, to: 1e8, unit: 'entries' }).default(200_000),
  fault_injection: field.choice(['off', 'on']).default('off'),
});

const gateway = field.section({
  auth: field.choice(['none', 'token']).default('none'),
  sockets: field.choice(['auto', 'uws', 'ws']).default('auto'),
  idle_seconds: field.seconds(8, 960).default(75),
  connect_deadline_ms: field.milliseconds(100, 600_000).default(10_000),
  frame_bytes_max: field.bytes(KB, 16 * MB).default(64 * KB),
  queue_soft_bytes: field.bytes(KB, KB * MB).default(MB),
  queue_hard_bytes: field.bytes(KB, KB * MB).default(4 * MB),
  sessions_max: field.integer({ from: 1, to: 10_000_000, unit: 'sessions' }).default(200_000),
  subscriptions_per_session_max: field
    .integer({ from: 1, to: 1e6, unit: 'subscriptions' })
    .default(10_000),
  frames_per_second: field.integer({ from: 1, to: 1e6, unit: 'frames' }).default(50_000),
  sends_per_second: field.integer({ from: 1, to: 1e6, unit: 'messages' }).default(10_000),
  queries_per_second: field.integer({ from: 1, to: 1e6, unit: 'requests' }).default(50),
  drain_sessions_per_second: field.integer({ from: 1, to: 1e6, unit: 'sessions' }).default(1000),
  drain_resume_ms: field.milliseconds(0, 600_000).default(4000),
  origins_allowed: names(field.origin(), 'origins'),
  hosts_allowed: names(field.hostName(), 'hosts'),
});

const YEAR_SECONDS = 31_536_000;
const recallWindow = () => field.seconds(0, YEAR_SECONDS).default(120);

const messages = field.section({
  recall_window_seconds: field
    .section({ person: recallWindow(), group: recallWindow(), other: recallWindow() })
    .prefault({}),
  write_acks: field.integer({ from: 1, to: 2, unit: 'disks' }).default(2),
  strangers: field.choice(['allow', 'refuse']).default('allow'),
});

const days = () => field.integer({ from: 0, to: 36_500, unit: 'days' }).default(0);
const channelBytes = () => field.bytes(0, 1024 * 1024 * MB).default(0);

const retention = field.section({
  age_days: field.section({ person: days(), group: days(), other: days() }).prefault({}),
  channel_bytes_max: field
    .section({ person: channelBytes(), group: channelBytes(), other: channelBytes() })
    .prefault({}),
  check_every_seconds: field.seconds(1, 86_400).default(600),
});

const webhookEndpoint = field.section({
  name: memberId(),
  url: field.url(['http', 'https'], 'https://backend.example.com/holdfast'),
  events: field
    .listOf(field.choice(WEBHOOK_EVENTS), { max: WEBHOOK_EVENTS.length, what: 'events' })
    .min(1, { error: 'at least one event' })
    .default([...WEBHOOK_EVENTS]),
  secret: field.secret(),
  timeout_ms: field.milliseconds(100, 120_000).default(10_000),
});

const webhooks = field.section({
  endpoints: field.listOf(webhookEndpoint, { max: 16, what: 'receivers' }).default([]),
  secret: field.secret(),
  queue_events_max: field.integer({ from: 100, to: 1e6, unit: 'events' }).default(100_000),
  batch_events_max: field.integer({ from: 1, to: 200, unit: 'events' }).default(100),
  batch_wait_ms: field.milliseconds(0, 10_000).default(20),
  backoff_min_ms: field.milliseconds(10, 600_000).default(500),
  backoff_max_ms: field.milliseconds(10, 3_600_000).default(60_000),
  refusals_max: field.integer({ from: 1, to: 100, unit: 'answers' }).default(5),
  dead_after_hours: field.integer({ from: 1, to: 8760, unit: 'hours' }).default(24),
  dead_letters_max: field.integer({ from: 1, to: 1e6, unit: 'events' }).default(10_000),
  takeover_seconds: field.seconds(3, 600).default(5),
});

const connections = field.section({ takeover_seconds: field.seconds(4, 3600).default(10) });

const http = field.section({
  manager_token: field.secret(),
  hosts_allowed: names(field.hostName(), 'hosts'),
  body_bytes_max: field.bytes(KB, 64 * MB).default(4 * MB),
});

const admin = field.section({ token: field.secret() });

const log = field.section({
  level: field.choice(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  pretty: field.choice(['auto', 'always', 'never']).default('auto'),
});

/** cluster.yml, as written: snake_case, units last, every default here and nowhere else. */
export const configSchema = field.section({
  cluster: cluster.prefault({}),
  node: node.prefault({}),
  members: field.listOf(member, { max: MEMBERS_MAX, what: 'members' }).default([]),
  membership: membership.prefault({}),
  listen: listen.prefault({}),
  storage: storage.prefault({}),
  replication: replication.prefault({}),
  sweep: sweep.prefault({}),
  audit: audit.prefault({}),
  gateway: gateway.prefault({}),
  messages: messages.prefault({}),
  retention: retention.prefault({}),
  webhooks: webhooks.prefault({}),
  connections: connections.prefault({}),
  http: http.prefault({}),
  admin: admin.prefault({}),
  log: log.prefault({}),
});

export type RawConfig = z.output<typeof configSchema>;

function listener(portDefault: number, address: z.ZodType<string>) {
  return {
    host: field.host().default('127.0.0.1'),
    port: field.port().default(portDefault),
    advertise: address.optional(),
  };
}

function names(item: z.ZodType<string>, what: string) {
  return field.listOf(item, { max: 256, what }).default([]);
}
