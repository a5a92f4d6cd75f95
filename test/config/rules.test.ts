import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { loadConfig, type LoadOptions } from '../../src/config/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-rules-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;

/** `path: found …`, of each error. */
function errorsOf(text: string, options: LoadOptions = {}): string[] {
  const path = join(folder, `${files++}.yml`);
  writeFileSync(path, text);
  const loaded = loadConfig({ path, env: {}, ...options });
  return loaded.ok ? [] : loaded.errors.map((error) => `${error.path}: ${error.found}`);
}

type Member = Readonly<Record<string, string | number>>;

function member(index: number, change: Member = {}): Member {
  const port = 7000 + index;
  return {
    ...{ id: `n-${index}`, slot: index, peer_address: `a:${port}`, admin_address: `b:${port}` },
    client_address: `ws://localhost:${port}`,
    ...{ http_address: `http://127.0.0.1:${port}`, ...change },
  };
}

const listed = (id: string, ...members: readonly Member[]) =>
  JSON.stringify({ node: { id }, members });

test('a wrong name of the node is not said to be absent as well', (t) => {
  t.deepEqual(errorsOf(listed('a b', member(0), member(1))), ['node.id: "a b"']);
  t.deepEqual(errorsOf('node: { id: a b }\nmembership: { mode: etcd }'), ['node.id: "a b"']);
});

test('two members have no address in common, however it is written', (t) => {
  for (const [key, value] of Object.entries({
    peer_address: 'A:7000',
    client_address: 'ws://LOCALHOST:7000/',
    http_address: 'http://127.0.0.1:7000/',
    admin_address: 'B:7000',
  })) {
    const errors = errorsOf(listed('n-0', member(0), member(1, { [key]: value })));
    t.deepEqual(errors, [`members.1.${key}: ${JSON.stringify(value)}, which members.0 has too`]);
  }
  const balanced = { client_address: 'wss://chat.example', http_address: 'https://chat.example' };
  t.deepEqual(errorsOf(listed('n-0', member(0, balanced), member(1, balanced))), []);
  const faulty = errorsOf(listed('n-0', member(0, { slot: -1 }), member(1, { id: 'n-0' })));
  t.deepEqual(faulty, ['members.0.slot: -1', 'members.1.id: "n-0", which members.0 has too']);
});

test('what is wrong with one receiver of webhooks hides nothing of the others', (t) => {
  const url = 'http://127.0.0.1:9';
  const endpoints = [
    { name: 'a', url: 'nowhere', secret: 'of-its-own' },
    { name: 'a', url, secret: 'of-its-own' },
    { name: 'b', url },
  ];
  t.deepEqual(errorsOf(JSON.stringify({ webhooks: { endpoints } })), [
    'webhooks.endpoints.0.url: "nowhere"',
    'webhooks.endpoints.1.name: "a"',
    'webhooks.endpoints.2.secret: nothing',
  ]);
});

test('node k has ports where its number leads, and none of them twice', (t) => {
  const high = 'listen: { client: { port: 65500 } }';
  t.deepEqual(errorsOf(high), []);
  t.deepEqual(errorsOf(high, { node: 1 }), []);
  t.deepEqual(errorsOf(high, { node: 2 }), [
    'listen.client.port: 65500, which is 65600 for node 2',
  ]);
  t.deepEqual(errorsOf('listen: { http: { advertise: "http://x:65500" } }', { node: 2 }), [
    'listen.http.advertise: "http://x:65500", which is http://x:65600 for node 2',
  ]);
  // The admin port moves up by 10, away from clients of the next node.
  t.deepEqual(errorsOf('listen: { peer: { port: 5310 } }', { node: 1 }), [
    'listen.peer.port: 5310, which is 5310 for node 1, as is listen.admin.port',
  ]);
});

test('an address has a port that one can connect to', (t) => {
  for (const address of ['a:0', 'a:65536', 'a:99999']) {
    t.is(errorsOf(listed('n-0', member(0, { peer_address: address }))).length, 1, address);
    const advertised = `listen: { client: { advertise: "ws://${address}/path" } }`;
    t.is(errorsOf(advertised).length, 1, address);
  }
  t.deepEqual(errorsOf('listen: { client: { advertise: "wss://chat.example.com/ws" } }'), []);
  t.deepEqual(errorsOf('listen: { client: { advertise: "ws://[::1]:65535" } }'), []);
});

test('origins and hosts are such as a browser sends', (t) => {
  const origins = (value: string) =>
    errorsOf(JSON.stringify({ gateway: { origins_allowed: [value] } }));
  const hosts = (value: string) => [
    ...errorsOf(JSON.stringify({ gateway: { hosts_allowed: [value] } })),
    ...errorsOf(JSON.stringify({ http: { hosts_allowed: [value] } })),
  ];
  for (const good of [
    ...['https://chat.example.com', 'http://localhost:8080', 'http://[::1]:5001', 'null'],
    ...['chrome-extension://abcdef', 'capacitor://localhost', 'file://'],
  ]) {
    t.deepEqual(origins(good), [], good);
  }
  for (const bad of ['x', 'https://a/b', 'https://a/', 'https://', 'https://a:443', '*', 'a:80']) {
    t.deepEqual(origins(bad), [`gateway.origins_allowed.0: ${JSON.stringify(bad)}`]);
  }
  for (const good of ['chat.example.com', 'localhost:5200', '[::1]:5200', '10.0.0.1', 'a_b']) {
    t.deepEqual(hosts(good), [], good);
  }
  for (const bad of ['http://x', 'c/d', 'x:0', 'x:70000', '::1', '*', 'a b']) {
    t.is(hosts(bad).length, 2, bad);
  }
});
