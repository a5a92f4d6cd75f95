import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { askControl, serveControl } from '../../scripts/cluster/control.ts';
import { LocalCluster } from '../../scripts/cluster/local-cluster.ts';
import { NodeProcess } from '../../scripts/cluster/node-process.ts';
import { assertPortsFree } from '../../scripts/cluster/ports.ts';
import { planNodes, type PlannedNode } from '../../scripts/cluster/plan.ts';
import { parseMemberId } from '../../src/core/ids.ts';
import { freePort } from '../support/ports.ts';
import { until } from '../support/until.ts';

/** Stands in for a node: answers on its port, leaves a file in its store, ends on SIGTERM. */
const STAND_IN = `
const [port, store] = process.argv.slice(1);
require('node:fs').mkdirSync(store, { recursive: true });
require('node:fs').writeFileSync(store + '/rows', '');
require('node:http').createServer((_, reply) => reply.end('ready')).listen(Number(port), '127.0.0.1');
process.on('SIGTERM', () => { console.log('stopping in order'); process.exit(0); });
console.log('started');
`;

function folderOf(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-scripts-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function standIn(folder: string, k: number): Promise<PlannedNode> {
  const port = await freePort();
  const id = parseMemberId(`node-${k}`);
  if (!id.ok) throw new Error(id.error);
  const storeDir = join(folder, id.value, 'store');
  return {
    k,
    member: {
      id: id.value,
      slot: k - 1,
      peerAddress: 'peer',
      clientAddress: 'client',
      httpAddress: `http://127.0.0.1:${port}`,
      adminAddress: 'admin',
    },
    storeDir,
    logPath: join(folder, id.value, 'log'),
    readyUrl: `http://127.0.0.1:${port}/readyz`,
    ports: [],
    args: ['-e', STAND_IN, String(port), storeDir],
    env: process.env,
  };
}

async function startStandIns(t: ExecutionContext) {
  const folder = folderOf(t);
  const nodes = [await standIn(folder, 1), await standIn(folder, 2)];
  const lines: string[] = [];
  const cluster = new LocalCluster({
    nodes,
    etcd: undefined,
    onLine: (name, line) => void lines.push(`${name} ${line}`),
    readyTimeoutMs: 20_000,
    graceMs: 5_000,
  });
  t.teardown(() => cluster.stop());
  await cluster.start();
  return { cluster, nodes, lines, folder };
}

test('nodes are killed, started, paused, wiped and stopped, each by its number', async (t) => {
  const { cluster, nodes, lines } = await startStandIns(t);
  const store = nodes[1]!.storeDir;
  t.regex(await cluster.act('kill', 2), /node-2 is killed/);
  t.regex(cluster.table(), /2 +node-2 +stopped \(SIGKILL\)/);
  t.regex(cluster.table(), /1 +node-1 +running/);
  await cluster.act('start', 2);
  await t.throwsAsync(cluster.act('start', 2), { message: /runs already/ });
  await cluster.act('pause', 2);
  t.regex(cluster.table(), /node-2 +paused/);
  const answer = fetch(nodes[1]!.readyUrl, { signal: AbortSignal.timeout(300) });
  await t.throwsAsync(answer, { any: true });
  await cluster.act('resume', 2);
  t.true((await fetch(nodes[1]!.readyUrl)).ok);
  writeFileSync(join(store, 'old'), '');
  await cluster.act('wipe', 2);
  t.false(existsSync(join(store, 'old')));
  t.true(existsSync(join(store, 'rows')));
  await t.throwsAsync(cluster.act('kill', 3), { message: /from 1 to 2/ });
  await t.throwsAsync(cluster.act('kill', undefined), { message: /which node/ });
  await cluster.act('pause', 1);
  await cluster.stop();
  t.regex(cluster.table(), /node-1 +stopped \(exit code 0\)/);
  t.regex(cluster.table(), /node-2 +stopped \(exit code 0\)/);
  t.true(lines.includes('node-1 stopping in order'));
  t.regex(readFileSync(nodes[0]!.logPath, 'utf8'), /^started\nstopping in order\n$/);
});

test('a node that ends before it is ready is reported with its last lines', async (t) => {
  const node = new NodeProcess({
    name: 'node-1',
    command: process.execPath,
    args: ['-e', 'console.error("port 5200 is taken"); process.exit(3)'],
    env: process.env,
    logPath: join(folderOf(t), 'log'),
    readyUrl: 'http://127.0.0.1:1/readyz',
  });
  node.start();
  const error = await t.throwsAsync(node.whenReady(20_000));
  t.regex(error.message, /node-1 ended \(exit code 3\) before it was ready/);
  await until('its line is there', () => node.tail().includes('port 5200 is taken'));
});

test('the control socket passes requests on, answers errors, and refuses a second cluster', async (t) => {
  const folder = folderOf(t);
  const act = async ({
    action,
    k,
  }: {
    action: string;
    k?: number | undefined;
  }): Promise<string> => {
    if (action === 'kill') throw new Error('no such node');
    return `${action} ${k}`;
  };
  await t.throwsAsync(askControl(folder, { action: 'status' }));
  const server = await serveControl(folder, act);
  t.teardown(() => void server.close());
  t.deepEqual(await askControl(folder, { action: 'start', k: 2 }), { ok: true, text: 'start 2' });
  const refused = await askControl(folder, { action: 'kill', k: 9 });
  t.deepEqual(refused, { ok: false, error: 'no such node' });
  await t.throwsAsync(serveControl(folder, act), { message: /runs already/ });
});

test('a socket that a killed cluster left behind is replaced', async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, 'control.sock'), '');
  const server = await serveControl(folder, async () => 'done');
  t.teardown(() => void server.close());
  t.deepEqual(await askControl(folder, { action: 'status' }), { ok: true, text: 'done' });
});

test('one cluster.yml: node k is 100 × (k − 1) higher, static lists all, etcd names its endpoint', (t) => {
  const folder = folderOf(t);
  const config = join(folder, 'cluster.yml');
  mkdirSync(join(folder, 'run'));
  writeFileSync(config, 'listen:\n  client: {port: 6200}\n  admin: {port: 6300}\n');
  const plan = { nodes: 3, config, dataDir: join(folder, 'run'), etcdEndpoint: undefined };
  const nodes = planNodes(plan);
  t.deepEqual(nodes.map(({ member }) => member.id) as string[], ['node-1', 'node-2', 'node-3']);
  t.is(nodes[2]!.member.clientAddress, 'ws://127.0.0.1:6400');
  // 6300, 6400 and 6500 would meet the clients' 6300 and 6400.
  t.deepEqual(
    nodes.map(({ member }) => member.adminAddress),
    ['127.0.0.1:6310', '127.0.0.1:6410', '127.0.0.1:6510'],
  );
  t.is(nodes[1]!.member.httpAddress, 'http://127.0.0.1:5101');
  t.is(nodes[1]!.storeDir, join(folder, 'run', 'stores', 'node-2'));
  const listed = JSON.parse(nodes[0]!.env['HOLDFAST_MEMBERS']!) as { id: string; slot: number }[];
  t.deepEqual(
    listed.map(({ slot }) => slot),
    [0, 1, 2],
  );
  t.deepEqual(
    nodes.map(({ member }) => member.slot),
    [0, 1, 2],
  );
  const [first] = planNodes({ ...plan, etcdEndpoint: 'http://127.0.0.1:2379' });
  t.is(first!.env['HOLDFAST_MEMBERSHIP_MODE'], 'etcd');
  t.is(first!.env['HOLDFAST_MEMBERSHIP_ETCD_ENDPOINTS'], 'http://127.0.0.1:2379');
  t.is(first!.env['HOLDFAST_MEMBERS'], undefined);
});

test('ports that are taken are all named before anything starts', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const free = { host: '127.0.0.1', port: await freePort(), what: 'node-1 http' };
  await t.notThrowsAsync(assertPortsFree([free]));
  const taken = { host: '127.0.0.1', port, what: 'node-2 client' };
  const error = await t.throwsAsync(assertPortsFree([free, taken]));
  t.regex(error.message, new RegExp(`use by another process: 127.0.0.1:${port} .node-2 client.;`));
});

test('a configuration that is wrong is refused with its place', (t) => {
  const folder = folderOf(t);
  const config = join(folder, 'cluster.yml');
  writeFileSync(config, 'listen:\n  client: {prot: 6200}\n');
  const plan = { nodes: 1, config, dataDir: folder, etcdEndpoint: undefined };
  t.throws(() => planNodes(plan), { message: /prot/ });
});
