import { readFileSync } from 'node:fs';
import test from 'ava';
import { compareConfigs, withChanges } from '../../src/config/compare.ts';
import { loadConfig, type Config } from '../../src/config/load.ts';

function configOf(overrides: Readonly<Record<string, unknown>> = {}, env = {}): Config {
  const loaded = loadConfig({ env, overrides });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.errors));
  return loaded.config;
}

const namesOf = (before: Config, after: Config) =>
  compareConfigs(before, after).map(({ path, live }) => `${path} ${live ? 'live' : 'restart'}`);

test('S3-5 the comparison names each changed key as the file does, and what a running node takes of it', (t) => {
  const after = configOf({
    'listen.client.port': 5299,
    'listen.http.enabled': false,
    'listen.peer.port': 7199,
    'gateway.idle_seconds': 30,
    'gateway.origins_allowed': ['https://chat.example.com'],
    'gateway.sockets': 'ws',
    'webhooks.endpoints': [{ name: 'one', url: 'http://127.0.0.1:1/', secret: ['whsec-123456'] }],
    'messages.recall_window_seconds.person': 10,
  });
  t.deepEqual(namesOf(configOf(), after), [
    'listen.client.port live',
    'listen.http.enabled live',
    'listen.peer.port restart',
    'gateway.sockets restart',
    'gateway.idle_seconds live',
    'gateway.origins_allowed live',
    'messages.recall_window_seconds.person restart',
    'webhooks.endpoints restart',
  ]);
  t.notRegex(JSON.stringify(compareConfigs(configOf(), after)), /whsec/);
  t.deepEqual(compareConfigs(after, after), []);
});

test('S3-5 a secret that changed is live and not shown; one that is gone waits for a restart', (t) => {
  const [old, next] = [
    { 'admin.token': ['old-secret'] },
    { 'admin.token': ['new-secret', 'old-secret'] },
  ];
  const [rotated] = compareConfigs(configOf(old), configOf(next));
  t.like(rotated, {
    ...{ path: 'admin.token', before: '(1, not shown)', after: '(2, not shown)', live: true },
  });
  const [gone] = compareConfigs(configOf(old), configOf());
  t.like(gone, { path: 'admin.token', after: '(none)', live: false });
  t.regex(gone!.note, /the one from before stays/);
});

test('S3-5 the environment wins over a changed file: what it says is no change', (t) => {
  const env = { HOLDFAST_GATEWAY_IDLE_SECONDS: '40' };
  t.deepEqual(namesOf(configOf({}, env), configOf({}, env)), []);
  t.deepEqual(namesOf(configOf(), configOf({}, env)), ['gateway.idle_seconds live']);
});

test('S3-5 what is applied is taken and nothing else, also of keys that come and go', (t) => {
  const before = configOf({ 'listen.client.advertise': 'ws://a.example.com:1' });
  const next = configOf({ 'gateway.idle_seconds': 30, 'storage.cache_bytes': 33_554_432 });
  const paths = new Set(['gateway.idle_seconds', 'listen.client.advertise']);
  const made = withChanges(before, next, paths);
  t.is(made.gateway.idleSeconds, 30);
  t.is(made.storage.cacheBytes, before.storage.cacheBytes);
  t.is(made.listen.client.advertise, undefined);
  t.is(before.gateway.idleSeconds, 75, 'the one from before is not written to');
  t.deepEqual(namesOf(made, next), ['storage.cache_bytes restart']);
});

test('S3-5 cluster.yml says which sections are applied at once, and the comparison does so', (t) => {
  const text = readFileSync(new URL('../../cluster.yml', import.meta.url), 'utf8');
  t.regex(text, /gateway\n#\s+without `sockets`/);
  const config = configOf();
  const changed = Object.fromEntries(
    Object.entries(config.gateway).map(([key, value]) => [key, [value, 'another']]),
  );
  const after = { ...config, gateway: changed } as unknown as Config;
  const waiting = compareConfigs(config, after).filter(({ live }) => !live);
  t.deepEqual(
    waiting.map(({ path }) => path),
    ['gateway.sockets'],
  );
});
