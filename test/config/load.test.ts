import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { formatConfigErrors, loadConfig, type LoadOptions } from '../../src/config/load.ts';
import { leafPaths } from '../../src/config/shape.ts';
import { configSchema } from '../../src/config/schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-config-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;

function write(text: string): string {
  const path = join(folder, `${files++}.yml`);
  writeFileSync(path, text);
  return path;
}

function load(text: string, options: LoadOptions = {}) {
  return loadConfig({ path: write(text), env: {}, ...options });
}

/** `path line:column`, of each error. */
function places(text: string, options: LoadOptions = {}): string[] {
  const loaded = load(text, options);
  if (loaded.ok) return [];
  return loaded.errors.map(({ path, origin }) =>
    origin.kind === 'file' ? `${path} ${origin.line}:${origin.column}` : `${path} ${origin.kind}`,
  );
}

function errorsOf(text: string, options: LoadOptions = {}): string {
  const loaded = load(text, options);
  return loaded.ok ? '' : formatConfigErrors(loaded.errors);
}

test('without a file a node is alone, on loopback, with every default', (t) => {
  const loaded = loadConfig({ env: {} });
  if (!loaded.ok) return t.fail(formatConfigErrors(loaded.errors));
  const { config } = loaded;
  t.is(config.cluster.slots, 1);
  t.is(config.node.id, 'node-1');
  t.is(config.node.slot, 0);
  t.is(config.node.dataDir, join(process.cwd(), 'data/node-1'));
  t.deepEqual(
    Object.values(config.listen).map(({ host, port }) => `${host}:${port}`),
    ['127.0.0.1:5200', '127.0.0.1:5001', '127.0.0.1:5300', '127.0.0.1:7100'],
  );
  t.is(config.storage.sync, 'commit');
  t.is(config.replication.acknowledgeTimeoutMs, 250);
});

test('the cluster.yml of the project states every key, with the default that the schema has', (t) => {
  const text = readFileSync(new URL('../../cluster.yml', import.meta.url), 'utf8');
  const plain = loadConfig({ env: {} });
  const own = loadConfig({ path: write(text), env: {}, overrides: { 'node.data_dir': '/d' } });
  if (!plain.ok || !own.ok) return t.fail('does not load');
  t.deepEqual({ ...own.config, node: plain.config.node }, plain.config);
  const defaults = configSchema.parse({}) as Record<string, unknown>;
  for (const path of leafPaths()) {
    const key = path.at(-1) ?? '';
    const section = path
      .slice(0, -1)
      .reduce<Record<string, unknown>>(
        (outer, step) => outer[step] as Record<string, unknown>,
        defaults,
      );
    const value = section[key];
    const stated = text.match(new RegExp(`# ${key}: (.*)`, 'g')) ?? [];
    t.true(stated.length > 0, `cluster.yml does not state ${path.join('.')}`);
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    const written = Array.isArray(value)
      ? `[${value.join(', ')}]`
      : JSON.stringify(value).replaceAll('"', '');
    t.true(
      stated.some((line) => line.endsWith(`: ${written}`)),
      `cluster.yml does not state ${path.join('.')}: ${written}`,
    );
  }
});

test('all errors are reported at once, each with path, line, column, found and allowed', (t) => {
  const text = [
    'gateway:',
    '  idle_second: 5',
    '  auth: maybe',
    'listn: {}',
    'listen:',
    '  client: { host: 0.0.0.0, port: "x" }',
    'http:',
    '  manager_token: abc',
    'members: 3',
  ].join('\n');
  t.deepEqual(places(text, { env: { HOLDFAST_STORAGE_GROUP_BYTES: 'many' } }), [
    'gateway.idle_second 2:3',
    'gateway.auth 3:9',
    'listn 4:1',
    'listen.client.host 6:19',
    'listen.client.host 6:19',
    'listen.client.port 6:34',
    'http.manager_token.0 8:18',
    'members 9:10',
    'storage.group_bytes environment',
  ]);
  const said = errorsOf(text);
  t.regex(said, /found "maybe"\n\s+allowed: one of none, token/);
  t.regex(said, /listen\.client\.port: found "x"\n\s+allowed: a whole number from 0 to 65535/);
});

test('an unknown key is named with the nearest known one', (t) => {
  t.regex(errorsOf('gateway: { idle_second: 5 }'), /did you mean idle_seconds\?/);
  t.regex(errorsOf('storage: { groupWaitMs: 5 }'), /did you mean group_wait_ms\?/);
  t.regex(errorsOf('membrship: {}'), /did you mean membership\?/);
  t.regex(errorsOf('__proto__: 1'), /an unknown key/);
  t.notRegex(errorsOf('zzzzzzzzzzzzzzzz: 1'), /did you mean/);
  t.regex(errorsOf('http: { manager_tokn_file: x }'), /did you mean manager_token_file\?/);
});

test('text that is no YAML, no mapping, or twice the same key is an error with its place', (t) => {
  t.deepEqual(places('a: [1'), [' 1:6']);
  t.deepEqual(places('- 1'), [' 1:1']);
  t.deepEqual(places('log:\n  level: info\n  level: warn'), [' 3:3']);
  t.deepEqual(places('log: &a {}\nhttp: *a'), ['http 2:7']);
  t.deepEqual(places(''), []);
  t.deepEqual(places('gateway:\n  # auth: none\n'), []);
  const missing = loadConfig({ path: join(folder, 'absent.yml'), env: {} });
  t.regex(missing.ok ? '' : formatConfigErrors(missing.errors), /cannot be read \(ENOENT\)/);
});

test('the environment wins over the file, overrides over both', (t) => {
  const env = {
    HOLDFAST_GATEWAY_IDLE_SECONDS: '20',
    HOLDFAST_LISTEN_CLIENT_PORT: '1',
    HOLDFAST_MEMBERSHIP_ETCD_ENDPOINTS: 'http://a:1, http://b:2',
    HOLDFAST_LOG_LEVEL: '',
    HOLDFAST_ADMIN_SERVICE_HOST: '10.0.0.1',
    HOLDFAST_ADMIN_PORT_5300_TCP: 'tcp://10.0.0.1:5300',
  };
  const loaded = load('gateway: { idle_seconds: 30 }\nlog: { level: warn }', {
    env,
    overrides: { 'listen.client.port': 2 },
  });
  if (!loaded.ok) return t.fail(formatConfigErrors(loaded.errors));
  t.is(loaded.config.gateway.idleSeconds, 20);
  t.is(loaded.config.listen.client.port, 2);
  t.is(loaded.config.log.level, 'warn');
  t.deepEqual(loaded.config.membership.etcd.endpoints, ['http://a:1', 'http://b:2']);
  const wrong = errorsOf('', { env: { HOLDFAST_GATEWAY_IDLE_SECOND: '1' } });
  t.regex(wrong, /did you mean HOLDFAST_GATEWAY_IDLE_SECONDS\?/);
});

test('a secret may be a string, a list of two, a file, or a variable, and is never shown', (t) => {
  const file = write('first-secret\nsecond-secret\n');
  const of = (text: string, env = {}) => {
    const loaded = load(text, { env });
    return loaded.ok ? loaded.config.cluster.secrets : formatConfigErrors(loaded.errors);
  };
  t.deepEqual(of('cluster: { secret: one-secret }'), ['one-secret']);
  t.deepEqual(of('cluster: { secret: [one-secret, two-secret] }'), ['one-secret', 'two-secret']);
  t.deepEqual(of(`cluster: { secret_file: ${basename(file)} }`), ['first-secret', 'second-secret']);
  t.deepEqual(of('', { HOLDFAST_CLUSTER_SECRET: 'one-secret,two-secret' }), [
    'one-secret',
    'two-secret',
  ]);
  t.deepEqual(of('', { HOLDFAST_CLUSTER_SECRET_FILE: file }), ['first-secret', 'second-secret']);
  t.deepEqual(of(`cluster: { secret_file: ${file} }`, { HOLDFAST_CLUSTER_SECRET: 'from-env' }), [
    'from-env',
  ]);
  t.deepEqual(of('cluster: { secret: in-the-file }', { HOLDFAST_CLUSTER_SECRET_FILE: file }), [
    'first-secret',
    'second-secret',
  ]);
  t.regex(
    String(of(`cluster: { secret: one-secret, secret_file: ${file} }`)),
    /either cluster.secret or/,
  );
  t.regex(String(of('cluster: { secret_file: absent }')), /"absent" \(ENOENT\)/);
  const short = String(of('cluster: { secret: hunter2 }'));
  t.regex(short, /a string of 7 characters \(not shown\)/);
  t.notRegex(short, /hunter2/);
  t.notRegex(String(of('cluster: { secret: 81726354 }')), /81726354/);
  t.regex(String(of('cluster: { secret: [aaaaaaaa, bbbbbbbb, cccccccc] }')), /or a list of two/);
});

test('a listener that strangers can reach is refused until it has something to tell them apart', (t) => {
  const guards = {
    client: 'gateway.auth',
    http: 'manager_token',
    admin: 'admin.token',
    peer: 'cluster.secret',
  };
  for (const [name, guard] of Object.entries(guards)) {
    const said = errorsOf(`listen: { ${name}: { host: 10.1.2.3 } }`);
    t.regex(
      said,
      new RegExp(
        `listen\\.${name}\\.host: found "10.1.2.3", which strangers can reach, without .*${guard}`,
      ),
    );
    for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '"::1"']) {
      t.is(errorsOf(`listen: { ${name}: { host: ${host} } }`), '');
    }
  }
  const open = 'cluster: { secret: 12345678a }\nlisten: { peer: { host: 0.0.0.0 } }';
  t.regex(errorsOf(open), /0\.0\.0\.0" without listen\.peer\.advertise/);
  t.is(errorsOf(open.replace('0.0.0.0', '0.0.0.0, advertise: "a.example:7100"')), '');
});

test('rules between keys: ports, members, slots, limits', (t) => {
  t.regex(errorsOf('listen: { http: { port: 5200 } }'), /which listen.client.port has too/);
  t.is(errorsOf('listen: { http: { port: 0 }, client: { port: 0 } }'), '');
  t.regex(
    errorsOf('membership: { mode: etcd }'),
    /node\.id: found nothing, with membership.mode etcd/,
  );
  t.regex(errorsOf('gateway: { queue_hard_bytes: 2048 }'), /at least gateway.queue_soft_bytes/);
  t.regex(errorsOf('node: { slot: 1 }'), /below cluster.slots, which is 1/);
  const two = (second: string) =>
    `node: { id: a }\nmembers:\n${[member('a', 0, 7100), second].join('\n')}`;
  t.is(errorsOf(two(member('b', 1, 7200))), '');
  t.regex(errorsOf(two(member('a', 1, 7200))), /"a", which members.0 has too/);
  t.regex(
    errorsOf(two(member('b', 0, 7200))),
    /slot: found 0, which members\.0 has too\n\s+allowed: one of its own/,
  );
  t.regex(errorsOf(two(member('b', 1, 7200)).replace('id: a', 'id: c')), /one of a, b/);
  t.regex(errorsOf(`${two(member('b', 1, 7200))}\nmembership: { mode: etcd }`), /no list/);
  t.regex(errorsOf(two('  - { id: b }')), /members\.1\.slot: found nothing/);
});

test('node k of a machine: its own name, folder and ports', (t) => {
  const loaded = load('membership: { mode: etcd }\nnode: { data_dir: /d }', { node: 3 });
  if (!loaded.ok) return t.fail(formatConfigErrors(loaded.errors));
  const { config } = loaded;
  t.is(config.node.id, 'node-3');
  t.is(config.node.slot, undefined);
  t.is(config.cluster.slots, 32);
  t.is(config.node.dataDir, '/d/node-3');
  t.deepEqual(
    Object.values(config.listen).map(({ port }) => port),
    [5400, 5201, 5510, 7300],
  );
  const listed = load(`members:\n${member('a', 0, 7100)}\n${member('b', 7, 7200)}`, { node: 2 });
  if (!listed.ok) return t.fail(formatConfigErrors(listed.errors));
  t.is(listed.config.node.id, 'b');
  t.is(listed.config.node.slot, 7);
});

test('no port of node k is one of another node', (t) => {
  const portsOf = (text: string, node: number | undefined): number[] => {
    const loaded = load(text, { node });
    if (!loaded.ok) throw new Error(formatConfigErrors(loaded.errors));
    return Object.values(loaded.config.listen).map(({ port }) => port);
  };
  const nodes = Array.from({ length: 16 }, (_, index) => portsOf('', index + 1));
  t.is(new Set(nodes.flat()).size, nodes.flat().length);
  t.deepEqual(nodes[0], [5200, 5001, 5310, 7100]);
  // A node that is alone keeps the written ports, and so do those that cannot meet.
  t.deepEqual(portsOf('', undefined), [5200, 5001, 5300, 7100]);
  t.deepEqual(portsOf('listen: { admin: { port: 5301 } }', 2), [5300, 5101, 5401, 7200]);
  t.deepEqual(portsOf('listen: { client: { port: 0 } }', 2), [0, 5101, 5400, 7200]);
});

test('an advertised admin address moves with its port', (t) => {
  const loaded = load('listen: { admin: { advertise: "a.example:5300" } }', { node: 2 });
  if (!loaded.ok) return t.fail(formatConfigErrors(loaded.errors));
  t.is(loaded.config.listen.admin.advertise, 'a.example:5410');
});

test('messages: how many disks acknowledge, and whether strangers may write', (t) => {
  const loaded = load('messages: { write_acks: 1, strangers: refuse }');
  if (!loaded.ok) return t.fail(formatConfigErrors(loaded.errors));
  t.like(loaded.config.messages, { writeAcks: 1, strangers: 'refuse' });
  t.deepEqual(places('messages:\n  write_acks: 3\n  strangers: maybe\n'), [
    'messages.write_acks 2:15',
    'messages.strangers 3:14',
  ]);
});

test('retention: 0 keeps everything, and what is no number of days is refused with its place', (t) => {
  const of = (retention: string) => load(`retention: ${retention}`);
  const loaded = of('{ age_days: { group: 90 }, channel_bytes_max: { other: 1048576 } }');
  t.true(loaded.ok);
  if (!loaded.ok) return;
  const { ageDays, channelBytesMax } = loaded.config.retention;
  t.deepEqual({ ...ageDays }, { person: 0, group: 90, other: 0 });
  t.deepEqual({ ...channelBytesMax }, { person: 0, group: 0, other: 1_048_576 });
  t.deepEqual(places('retention:\n  age_days:\n    group: -1\n'), [
    'retention.age_days.group 3:12',
  ]);
});

test('each receiver of webhooks has a name of its own and a secret: in its item, a file, or for all', (t) => {
  const file = write('from-a-file\n');
  const of = (webhooks: string) => {
    const loaded = load(`webhooks: ${webhooks}`);
    if (!loaded.ok) return formatConfigErrors(loaded.errors);
    return loaded.config.webhooks.endpoints.map(({ name, secret }) => [name, ...secret].join(' '));
  };
  const url = 'url: http://127.0.0.1:9';
  t.deepEqual(of(`{ endpoints: [{ name: a, ${url}, secret: of-its-own }] }`), ['a of-its-own']);
  t.deepEqual(of(`{ endpoints: [{ name: a, ${url}, secret_file: ${basename(file)} }] }`), [
    'a from-a-file',
  ]);
  t.deepEqual(of(`{ secret: for-all-of-them, endpoints: [{ name: a, ${url} }] }`), ['a']);
  t.regex(
    String(of(`{ endpoints: [{ name: a, ${url} }] }`)),
    /endpoints\.0\.secret: found nothing/,
  );
  const twice = `{ name: a, ${url}, secret: of-its-own }`;
  t.regex(String(of(`{ endpoints: [${twice}, ${twice}] }`)), /endpoints\.1\.name/);
  t.regex(
    String(of(`{ endpoints: [{ name: a, ${url}, secret: of-its-own, events: [msg.sent] }] }`)),
    /endpoints\.0\.events\.0: found "msg.sent"\n\s+allowed: one of msg.notify/,
  );
  const short = String(of(`{ endpoints: [{ name: a, ${url}, secret: hunter2 }] }`));
  t.notRegex(short, /hunter2/);
  t.regex(short, /8 to 256 printable/);
  const absent = String(of(`{ endpoints: [{ name: a, ${url}, secret_file: absent }] }`));
  t.regex(absent, /endpoints\.0\.secret_file: found "absent" \(ENOENT\)/);
});

test('whatever the file says, loading never throws, and an error always says what is allowed', (t) => {
  const keys = [
    'gateway',
    'listen',
    'members',
    'cluster',
    'secret',
    'etcd',
    'membership',
    'node',
    'id',
    '__proto__',
  ];
  const yaml = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(
        '1',
        '-1',
        '1e400',
        'null',
        '~',
        '""',
        'true',
        '0x1',
        '.nan',
        '!!x 1',
        '*a',
        '"\\0"',
      ),
      tie('section'),
      tie('list'),
    ),
    section: fc
      .array(fc.tuple(fc.constantFrom(...keys), tie('value')), { maxLength: 4 })
      .map((pairs) => `{ ${pairs.map(([key, value]) => `${key}: ${String(value)}`).join(', ')} }`),
    list: fc
      .array(tie('value'), { maxLength: 3 })
      .map((items) => `[${items.map(String).join(', ')}]`),
  }));
  const path = write('');
  fc.assert(
    fc.property(fc.oneof(yaml.section, fc.string()), (text) => {
      writeFileSync(path, text);
      const loaded = loadConfig({ path, env: {} });
      if (loaded.ok) return true;
      return loaded.errors.length > 0 && loaded.errors.every((error) => error.allowed !== '');
    }),
    { numRuns: 500 },
  );
  t.pass();
});

function member(id: string, slot: number, port: number): string {
  return (
    `  - { id: ${id}, slot: ${slot}, peer_address: "127.0.0.1:${port}", client_address: "ws://x:${port}", ` +
    `http_address: "http://x:${port}", admin_address: "x:${port}" }`
  );
}
