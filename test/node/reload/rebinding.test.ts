import test from 'ava';
import { rebindAll, type AddressChange } from '../../../src/node/reload/rebinding.ts';

function change(name: AddressChange['name'], said: string[], error?: Error): AddressChange {
  return {
    name,
    from: { host: '127.0.0.1', port: 1 },
    to: { host: '127.0.0.1', port: 2 },
    listener: {
      rebind: (host, port) => {
        if (error) return Promise.reject(error);
        said.push(`${name} binds ${host}:${port}`);
        return Promise.resolve({
          port: 22,
          commit: () => void said.push(`${name} commits`),
          abort: () => Promise.resolve(void said.push(`${name} aborts`)),
        });
      },
    },
  };
}

test('S3-5 all new addresses are bound before the first of the old ones is let go', async (t) => {
  const said: string[] = [];
  const rebound = await rebindAll([change('client', said), change('http', said)]);
  t.deepEqual(said, [
    'client binds 127.0.0.1:2',
    'http binds 127.0.0.1:2',
    'client commits',
    'http commits',
  ]);
  t.true(rebound.ok);
  t.deepEqual(rebound.ok && [...rebound.ports], [
    ['client', 22],
    ['http', 22],
  ]);
});

test('S3-5 where one cannot be bound those bound before it are given up, and no other is tried', async (t) => {
  const said: string[] = [];
  const rebound = await rebindAll([
    change('client', said),
    change('http', said, new Error('EADDRINUSE')),
    change('admin', said),
  ]);
  t.deepEqual(said, ['client binds 127.0.0.1:2', 'client aborts']);
  t.false(rebound.ok);
  t.regex(
    rebound.ok ? '' : rebound.errors.join(),
    /^listen\.http: 127\.0\.0\.1:2 cannot be bound \(EADDRINUSE\); it goes on at 127\.0\.0\.1:1/,
  );
});
