import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { AdminClient } from '../../src/admin/client.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';

const PROGRAM = fileURLToPath(new URL('../admin/support/program.ts', import.meta.url));

type Sections = Record<string, Record<string, unknown>>;

function run(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import=tsx', PROGRAM, ...args], (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}

/** One node, whose file is looked at only when a test asks for it, or every second. */
async function startOne(t: ExecutionContext, config: Sections = {}) {
  t.timeout(180_000);
  const node = { reload_check_seconds: 0, ...config['node'] };
  const cluster = await startCluster(t, { nodes: 1, etcd: false, config: { ...config, node } });
  const file = join(dirname(cluster.storeDir(1)), 'cluster.yml');
  const read = () => JSON.parse(readFileSync(file, 'utf8')) as Sections;
  const changed = (change: (sections: Sections) => void): string => {
    const sections = read();
    change(sections);
    return JSON.stringify(sections);
  };
  const write = (change: (sections: Sections) => void) => writeFileSync(file, changed(change));
  return { cluster, file, write, changed, reload: () => cluster.admin(1).reload() };
}

async function isRefused(address: string): Promise<boolean> {
  const socket = new WebSocket(address);
  const outcome = await new Promise<boolean>((resolve) => {
    socket.once('open', () => resolve(false)).once('error', () => resolve(true));
  });
  socket.terminate();
  return outcome;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A client that has said connect; `closed` resolves with the code. */
async function connected(t: ExecutionContext, address: string, uid: string) {
  const socket = new WebSocket(address);
  t.teardown(() => socket.terminate());
  const closed = once(socket, 'close').then(([code, reason]) => `${code} ${String(reason)}`);
  closed.catch(() => {});
  await once(socket, 'open');
  const call = async (method: string, params: object) => {
    socket.send(JSON.stringify({ method, params, id: method }));
    const [bytes] = (await once(socket, 'message')) as [Buffer];
    return JSON.parse(bytes.toString()) as { result?: unknown; error?: unknown };
  };
  const answer = await call('connect', { uid, token: '', deviceId: uid, deviceFlag: 1 });
  t.is(answer.error, undefined);
  return { socket, closed, call, isOpen: () => socket.readyState === WebSocket.OPEN };
}

const listen = (sections: Sections, name: string) =>
  sections['listen']![name] as Record<string, unknown>;

async function metricsOf(cluster: TestCluster): Promise<string> {
  return (await fetch(`${cluster.addresses(1).http}/metrics`)).text();
}

test('S3-5 a changed heartbeat or limit keeps the sockets, and what cannot change live is named', async (t) => {
  const { cluster, write, reload } = await startOne(t);
  const ann = await connected(t, cluster.addresses(1).client, 'ann');
  t.like(await reload(), { result: 'unchanged', changes: [], errors: [] });
  write((sections) => {
    sections['gateway'] = { idle_seconds: 120, frame_bytes_max: 1024, sends_per_second: 5 };
    sections['storage'] = { cache_bytes: 33_554_432 };
  });
  const reply = await reload();
  t.is(reply.result, 'applied');
  t.deepEqual(
    reply.changes.map(({ path, before, after, live }) => [path, before, after, live]),
    [
      ['storage.cache_bytes', '16777216', '33554432', false],
      ['gateway.idle_seconds', '75', '120', true],
      ['gateway.frame_bytes_max', '65536', '1024', true],
      ['gateway.sends_per_second', '10000', '5', true],
    ],
  );
  t.true(ann.isOpen());
  const bob = await connected(t, cluster.addresses(1).client, 'bob');
  ann.socket.send(JSON.stringify({ method: 'ping', pad: 'x'.repeat(2000) }));
  t.regex(await ann.closed, /^1009 /, 'the limit holds for the socket that was open before');
  t.true(bob.isOpen());
  const again = await reload();
  t.is(again.result, 'unchanged');
  t.deepEqual(
    again.changes.map(({ path, live }) => [path, live]),
    [['storage.cache_bytes', false]],
    'it waits for a restart still',
  );
});

test('S3-5 S3-9 a bad file changes nothing and says all that is wrong and where; a metric tells of it', async (t) => {
  const { cluster, write, reload } = await startOne(t);
  const ann = await connected(t, cluster.addresses(1).client, 'ann');
  write((sections) => {
    sections['gateway'] = { idle_secons: 5, frame_bytes_max: 'many', sends_per_second: 3 };
  });
  const reply = await reload();
  t.like(reply, { result: 'refused', changes: [] });
  t.is(reply.errors.length, 2);
  t.regex(
    reply.errors.join('\n'),
    /cluster\.yml:1:\d+: gateway\.idle_secons: .*did you mean idle_seconds/,
  );
  t.regex(reply.errors.join('\n'), /cluster\.yml:1:\d+: gateway\.frame_bytes_max: found "many"/);
  t.true(ann.isOpen());
  t.regex(await metricsOf(cluster), /^holdfast_reload_failed 1$/m);
  const { code, out } = await run(['reload', '--address', cluster.addresses(1).admin]);
  t.is(code, 1);
  t.regex(out, /is not taken, nothing changes\n {2}.*idle_secons/);
  write((sections) => {
    sections['gateway'] = { sends_per_second: 3 };
  });
  const right = await run(['reload', '--address', cluster.addresses(1).admin]);
  t.is(right.code, 0, right.err);
  t.regex(right.out, /applied: gateway\.sends_per_second: 10000 → 3/);
  const metrics = await metricsOf(cluster);
  t.regex(metrics, /^holdfast_reload_failed 0$/m);
  t.regex(metrics, /^holdfast_reloads_total\{result="refused"\} 2$/m);
  t.regex(metrics, /^holdfast_reloads_total\{result="applied"\} 1$/m);
});

test('S3-5 a file that was emptied or removed opens a node with tokens to nobody', async (t) => {
  const { file, changed, reload } = await startOne(t, { gateway: { auth: 'token' } });
  const opened = changed((sections) => void (sections['gateway'] = { auth: 'none' }));
  writeFileSync(file, '');
  const emptied = await reload();
  t.like(emptied, { result: 'refused', changes: [] });
  t.regex(emptied.errors.join('\n'), /cluster\.yml:1:1: .*without any key, which had some/);
  rmSync(file);
  const removed = await reload();
  t.like(removed, { result: 'refused', changes: [] });
  t.regex(removed.errors.join('\n'), /cluster\.yml.*cannot be read \(ENOENT\)/);
  writeFileSync(file, opened);
  const { result, changes } = await reload();
  t.is(result, 'applied', 'what says so itself is taken');
  t.like(changes, [{ path: 'gateway.auth', before: '"token"', after: '"none"' }]);
});

test('S3-5 a changed port rebinds, open sockets stay; each of the three listeners', async (t) => {
  const { cluster, write, reload } = await startOne(t);
  const before = cluster.addresses(1);
  const ann = await connected(t, before.client, 'ann');
  const [client, http, admin] = [await freePort(), await freePort(), await freePort()];
  write((sections) => {
    listen(sections, 'client')['port'] = client;
    listen(sections, 'http')['port'] = http;
    listen(sections, 'admin')['port'] = admin;
  });
  const reply = await reload();
  t.is(reply.result, 'applied', reply.errors.join());
  const bob = await connected(t, `ws://127.0.0.1:${client}`, 'bob');
  t.true(ann.isOpen() && bob.isOpen());
  t.is((await ann.call('ping', {})).error, undefined);
  await until('nobody answers at the old port of clients', () => isRefused(before.client));
  await until('the node serves at the new port', async () => {
    const ready = await fetch(`http://127.0.0.1:${http}/readyz`);
    return ready.status === 200;
  });
  // A connection that was kept alive is told 503 and ended.
  await until('nobody answers at the old port', () =>
    fetch(`${before.http}/readyz`).then(
      () => false,
      () => true,
    ),
  );
  const operator = new AdminClient({ address: `127.0.0.1:${admin}` });
  t.teardown(() => operator.close());
  const { listeners } = await operator.listeners();
  t.deepEqual(
    listeners.map(({ address }) => address),
    [`127.0.0.1:${client}`, `127.0.0.1:${http}`],
  );
  t.is((await operator.reload()).result, 'unchanged');
});

test('S3-5 a bind that fails rolls back to what ran before and says so', async (t) => {
  const { cluster, write, reload } = await startOne(t);
  const before = cluster.addresses(1);
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  const ann = await connected(t, before.client, 'ann');
  const free = await freePort();
  write((sections) => {
    // The first can be bound, and has to be let go again.
    listen(sections, 'client')['port'] = free;
    listen(sections, 'http')['port'] = (taken.address() as AddressInfo).port;
    sections['gateway'] = { auth: 'token', sends_per_second: 3 };
  });
  const reply = await reload();
  t.like(reply, { result: 'rolled-back', changes: [] });
  t.regex(reply.errors.join(), /listen\.http: 127\.0\.0\.1:\d+ cannot be bound.*EADDRINUSE/);
  t.true(reply.errors.join().includes(`it goes on at ${before.http.replace('http://', '')}`));
  t.true(ann.isOpen());
  const bob = await connected(t, before.client, 'bob');
  t.true(bob.isOpen(), 'without a token, as before');
  t.is((await fetch(`${before.http}/readyz`)).status, 200);
  await t.throwsAsync(connected(t, `ws://127.0.0.1:${free}`, 'cid'), { message: /ECONNREFUSED/ });
  taken.close();
  await once(taken, 'close');
  t.is((await reload()).result, 'applied', 'the port is free now');
});

test('S3-5 a changed token closes what used the old one, with 1008, and keeps what did not', async (t) => {
  const { cluster, write } = await startOne(t, {
    admin: { token: ['old-token', 'new-token'] },
  });
  const { client, admin } = cluster.addresses(1);
  const [old, fresh] = ['old-token', 'new-token'].map(
    (token) => new AdminClient({ address: admin, token }),
  );
  t.teardown(() => [old, fresh].forEach((one) => one!.close()));
  const ends = new Map<string, unknown>();
  const watch = async (name: string, from: AdminClient) => {
    try {
      for await (const event of from.watch({}, new AbortController().signal))
        if (event) seen.add(name);
    } catch (error) {
      ends.set(name, (error as { code: string }).code);
    }
  };
  const seen = new Set<string>();
  void watch('old', old!);
  void watch('new', fresh!);
  await until('both watch', async () => {
    const ann = await connected(t, client, 'ann');
    ann.socket.close();
    return seen.size === 2;
  });
  const ann = await connected(t, client, 'ann');
  write((sections) => {
    sections['admin'] = { token: 'new-token' };
  });
  const first = await fresh!.reload();
  t.like(first, { result: 'applied', ended: 1 });
  t.notRegex(JSON.stringify(first), /-token/, 'secrets are not shown');
  await until('the stream of the old token ended', () => ends.get('old') === 'UNAUTHENTICATED');
  t.false(ends.has('new'));
  t.true(ann.isOpen(), 'a client presents no such token');
  write((sections) => {
    sections['gateway'] = { auth: 'token' };
  });
  t.like(await fresh!.reload(), { result: 'applied', ended: 1 });
  t.is(await ann.closed, '1008 this node asks for a token now');
});

test('S3-5 enabled: false in the file ends connections as disable does, and true enables again', async (t) => {
  const { cluster, write, reload } = await startOne(t);
  const { client, http } = cluster.addresses(1);
  const ann = await connected(t, client, 'ann');
  write((sections) => {
    listen(sections, 'client')['enabled'] = false;
    listen(sections, 'http')['enabled'] = false;
  });
  t.is((await reload()).result, 'applied');
  t.regex(await ann.closed, /^1012 /);
  await t.throwsAsync(connected(t, client, 'ann'), { message: /503/ });
  t.is((await fetch(`${http}/route`)).status, 503);
  t.regex(await metricsOf(cluster), /^holdfast_listener_enabled\{listener="client"\} 0$/m);
  await cluster.stop(1);
  cluster.launch(1);
  await until(
    'a start with it is disabled too',
    async () => {
      const { listeners } = await cluster.admin(1).listeners();
      return listeners.every(({ state }) => state === 'disabled');
    },
    60_000,
  );
  const { admin } = cluster.addresses(1);
  const enabling = await run(['listener', 'enable', 'client', '--address', admin]);
  t.is(enabling.code, 0, enabling.err);
  const { out } = await run(['reload', '--address', admin]);
  t.regex(
    out,
    /nothing to apply\n {2}kept: listen\.client\.enabled: false in the file, .*enabled,/,
  );
  write((sections) => {
    listen(sections, 'client')['enabled'] = true;
    delete listen(sections, 'http')['enabled'];
  });
  const { result, changes, kept } = await reload();
  t.deepEqual([result, kept], ['applied', []]);
  t.deepEqual(
    changes.map(({ path, note }) => [path, note]),
    [
      ['listen.client.enabled', 'it was enabled already, by an operator'],
      ['listen.http.enabled', ''],
    ],
  );
  t.true((await connected(t, client, 'ann')).isOpen());
  t.is((await fetch(`${http}/route`)).status, 200);
});

test('S3-5 the file is watched: written in place, renamed over, and linked elsewhere; SIGHUP reads it too', async (t) => {
  const { cluster, file, write, changed } = await startOne(t, {
    node: { reload_check_seconds: 1 },
  });
  const rate = (value: number) => (sections: Sections) => {
    sections['gateway'] = { sends_per_second: value };
  };
  const applied = (trigger: string, count: number) =>
    until(
      `${count} by ${trigger}`,
      () => {
        const lines = cluster.logs(2_000).filter((line) => line.includes(`"trigger":"${trigger}"`));
        return lines.filter((line) => line.includes('gateway.sends_per_second')).length === count;
      },
      30_000,
    );
  write(rate(10));
  await applied('file', 1);
  writeFileSync(`${file}.new`, changed(rate(11)));
  renameSync(`${file}.new`, file);
  await applied('file', 2);
  // As Kubernetes mounts a ConfigMap: the file is a link through a link, and that one is replaced.
  const folder = dirname(file);
  const at = (name: string) => join(folder, name);
  writeFileSync(at('first.yml'), changed(rate(11)));
  writeFileSync(at('second.yml'), changed(rate(12)));
  symlinkSync('first.yml', at('data'));
  symlinkSync('data', at('link'));
  renameSync(at('link'), file);
  symlinkSync('second.yml', at('data.new'));
  renameSync(at('data.new'), at('data'));
  await applied('file', 3);
  t.pass();
});

test('S3-5 SIGHUP reads the file again', async (t) => {
  const { cluster, write } = await startOne(t);
  write((sections) => {
    sections['gateway'] = { sends_per_second: 10 };
  });
  process.kill(cluster.pid(1)!, 'SIGHUP');
  await until('it was read', () =>
    cluster.logs(500).some((line) => /"trigger":"signal".*gateway\.sends_per_second/.test(line)),
  );
  t.pass();
});
