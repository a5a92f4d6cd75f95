import test from 'ava';
import { loadConfig, type LoadedConfig } from '../../../src/config/load.ts';
import type { ReloadOutcome } from '../../../src/config/reload-port.ts';
import type { ApplyGround, ReloadParts } from '../../../src/node/reload/apply.ts';
import type { ListenerState } from '../../../src/connections/listener-port.ts';
import { LiveConfig } from '../../../src/node/reload/live-config.ts';
import { Reloader } from '../../../src/node/reload/reloader.ts';
import { silentLog } from '../../../src/observability/log.ts';

const started = loadConfig({ env: {} });
if (!started.ok) throw new Error(JSON.stringify(started.errors));
const { config } = started;

function reloaderOf(
  reread: () => LoadedConfig,
  state: 'up' | 'down' = 'up',
  listed: readonly Partial<ListenerState>[] = [],
) {
  const outcomes: ReloadOutcome[] = [];
  const live = new LiveConfig(config);
  const reloader = new Reloader({
    // Nothing here is applied: no ground and no parts are touched.
    ...({ live, listeners: { list: () => listed } } as unknown as ApplyGround),
    parts: () => (state === 'up' ? ({} as unknown as ReloadParts) : undefined),
    ...{ reread, log: silentLog, onOutcome: (outcome) => outcomes.push(outcome) },
  });
  return { reloader, outcomes, live };
}

test('S3-5 a configuration with errors is refused with each of them on a line, and nothing is taken', async (t) => {
  const overrides = { 'gateway.idle_secons': 1, 'listen.http.port': -1 };
  const { reloader, live } = reloaderOf(() => loadConfig({ env: {}, overrides }));
  const outcome = await reloader.reload('call');
  t.like(outcome, { result: 'refused', changes: [], ended: 0 });
  t.is(outcome.errors.length, 2);
  t.regex(
    outcome.errors.join('\n'),
    /gateway\.idle_secons: found an unknown key; allowed: did you/,
  );
  t.regex(outcome.errors.join('\n'), /listen\.http\.port: found -1; allowed: a whole number/);
  t.is(live.current(), config);
});

test('S3-5 keys that need a restart are named each time, and the node goes on by those it has', async (t) => {
  const overrides = { 'storage.cache_bytes': 33_554_432 };
  const { reloader, live } = reloaderOf(() => loadConfig({ env: {}, overrides }));
  for (let round = 0; round < 2; round++) {
    const { result, changes } = await reloader.reload('file');
    t.is(result, 'unchanged');
    t.like(changes[0], { path: 'storage.cache_bytes', live: false });
  }
  t.is(live.current(), config);
});

test('S3-5 reloads come one after the other, each is told of, and none rejects', async (t) => {
  let reads = 0;
  const { reloader, outcomes } = reloaderOf(() => {
    reads += 1;
    if (reads === 2) throw new Error('of the disk');
    return { ok: true, config, hasContent: true };
  });
  const all = await Promise.all(
    (['file', 'signal', 'call'] as const).map((one) => reloader.reload(one)),
  );
  t.deepEqual(
    all.map(({ result }) => result),
    ['unchanged', 'refused', 'unchanged'],
  );
  t.deepEqual(outcomes, all);
  t.regex(all[1]!.errors.join(), /of the disk/);
});

test('S3-5 while the node starts, stops or is rebuilt a reload is refused without a look at the file', async (t) => {
  const { reloader } = reloaderOf(() => t.fail(), 'down');
  const { result, errors } = await reloader.reload('signal');
  t.is(result, 'refused');
  t.regex(errors.join(), /try again/);
});

test('S3-5 what an operator switched by hand stays, and each reload tells of it', async (t) => {
  const same = () => loadConfig({ env: {} });
  const listed = [
    { name: 'client', state: 'disabled' },
    { name: 'http', state: 'draining' },
  ] as const;
  const { kept } = await reloaderOf(same, 'up', listed).reloader.reload('file');
  t.deepEqual(kept, [
    'listen.client.enabled: true in the file, and the listener is disabled, as an operator left it: ' +
      'holdfast listener enable client',
  ]);
  const enabled = [{ name: 'client', state: 'enabled' }] as const;
  t.deepEqual((await reloaderOf(same, 'up', enabled).reloader.reload('file')).kept, []);
});
