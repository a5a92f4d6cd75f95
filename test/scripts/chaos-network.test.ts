import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { ownerOf } from '../../scripts/chaos/connection-owner.ts';
import { OPEN_WAY, TcpProxy } from '../../scripts/chaos/proxy.ts';
import { until } from '../support/until.ts';

/** A proxy before a server, one connection through it, and what each end has received. */
async function throughProxy(t: ExecutionContext) {
  const got = { server: '', client: '' };
  let accepted: Socket | undefined;
  const server = createServer((socket) => {
    accepted = socket.on('error', () => {});
    socket.on('data', (bytes) => (got.server += String(bytes)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sources: (number | undefined)[] = [];
  const proxy = new TcpProxy((server.address() as AddressInfo).port, (port) => {
    const owner = ownerOf(port, [undefined, process.pid]);
    sources.push(owner);
    return owner;
  });
  const client = connect(await proxy.listen(), '127.0.0.1').on('error', () => {});
  client.on('data', (bytes) => (got.client += String(bytes)));
  t.teardown(async () => {
    client.destroy();
    await proxy.close();
    server.close();
  });
  await until('the server has it', () => accepted);
  return { got, proxy, client, server: accepted!, sources };
}

test('chaos: one way is cut and the other is not; what was held arrives in order', async (t) => {
  const { got, proxy, client, server, sources } = await throughProxy(t);
  if (process.platform === 'linux') t.deepEqual(sources, [1], 'it knows whose connection it is');
  proxy.rule(() => ({ ...OPEN_WAY, toTarget: 'held' }));
  client.write('a');
  client.write('b');
  server.write('c');
  await until('the open way passes', () => got.client === 'c');
  t.is(got.server, '');
  proxy.rule(() => OPEN_WAY);
  client.write('d');
  await until('what was held arrives', () => got.server === 'abd');
});

test('chaos: a delayed way is late and keeps its order when the delay ends', async (t) => {
  const { got, proxy, client } = await throughProxy(t);
  proxy.rule(() => ({ ...OPEN_WAY, delayMs: 100 }));
  const fromMs = performance.now();
  client.write('late');
  await new Promise((resolve) => client.write('', resolve));
  await until('the first is under way', () => performance.now() > fromMs + 20);
  proxy.rule(() => OPEN_WAY);
  client.write(' then');
  await until('both came', () => got.server === 'late then');
  t.true(performance.now() - fromMs >= 95);
});

test('chaos: a reset ends what was held and nothing else', async (t) => {
  const [cut, open] = [await throughProxy(t), await throughProxy(t)];
  cut.proxy.rule(() => ({ ...OPEN_WAY, fromTarget: 'held' }));
  cut.proxy.reset();
  open.proxy.reset();
  await until('it is torn', () => cut.client.destroyed || cut.client.closed);
  open.client.write('alive');
  await until('the other lives', () => open.got.server === 'alive');
  t.false(open.client.destroyed);
});
