import test from 'ava';
import { loadConfig, type Config } from '../../src/config/load.ts';
import { LiveSecrets } from '../../src/node/live-secrets.ts';

function configOf(overrides: Readonly<Record<string, unknown>>): Config {
  const loaded = loadConfig({ env: {}, overrides });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.errors));
  return loaded.config;
}

test('secrets that were read again are taken, and those that stay are the same array', (t) => {
  const secrets = new LiveSecrets(
    configOf({ 'cluster.secret': ['one-secret'], 'admin.token': ['a-token-1'] }),
  );
  const before = secrets.adminTokens();
  const next = configOf({
    ...{ 'cluster.secret': ['two-secret', 'one-secret'], 'admin.token': ['a-token-1'] },
    'http.manager_token': ['a-manager'],
  });
  t.deepEqual(secrets.take(next), { changed: ['cluster.secret', 'http.manager_token'], kept: [] });
  t.deepEqual(secrets.cluster(), ['two-secret', 'one-secret']);
  t.deepEqual(secrets.managerTokens(), ['a-manager']);
  t.is(secrets.adminTokens(), before);
});

test('a secret that is not there any more stays: only a new start opens a port to everyone', (t) => {
  const secrets = new LiveSecrets(configOf({ 'http.manager_token': ['a-manager'] }));
  t.deepEqual(secrets.take(configOf({})), { changed: [], kept: ['http.manager_token'] });
  t.deepEqual(secrets.managerTokens(), ['a-manager']);
});
