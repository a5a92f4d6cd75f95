import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { HoldfastClient } from '../../src/client/client.ts';
import { hash32 } from '../../src/client/channel-list.ts';
import type { ClientOptions, ClientSocket } from '../../src/client/options.ts';
import { hash32 as serverHash } from '../../src/core/placement.ts';
import { startRealNode } from '../audit/real-node.ts';
import { ADAPTERS } from '../gateway/fixture.ts';
import { group, uid } from '../support/ids.ts';
import { until } from '../support/until.ts';

const openSocket = (address: string): ClientSocket => new WebSocket(address);

function client(t: ExecutionContext, addresses: string[], options: Partial<ClientOptions> = {}) {
  const texts: string[] = [];
  const states: string[] = [];
  const repaired: string[] = [];
  const one = new HoldfastClient({
    ...{ addresses, uid: 'ann', openSocket, pingMs: 200, backoffMinMs: 20, backoffMaxMs: 100 },
    onMessage: ({ payload }) => texts.push(Buffer.from(payload, 'base64').toString()),
    onState: (state, reason) => states.push(`${state} ${reason}`),
    onRepaired: (what) => repaired.push(what),
    ...options,
  });
  t.teardown(() => one.stop());
  one.start();
  return { one, texts, states, repaired };
}

test('the client hashes as the server does', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => hash32(text) === serverHash(text)),
  );
  t.pass();
});

for (const [name, factory] of ADAPTERS) {
  test(`S2-4 ${name}: a client learns its channels by the digest, also those that others gave and took`, async (t) => {
    const { core, url, subscribe } = await startRealNode(t, factory);
    await subscribe(group('old'), 'ann');
    const { one } = client(t, [url]);
    const names = () =>
      one
        .channels()
        .map(({ channelId }) => channelId)
        .sort();
    await until('the old one is known', () => names().join() === 'old');
    await one.subscribe('mine', 2);
    await subscribe(group('given'), 'ann');
    await until('what others gave is known', () => names().join() === 'given,mine,old');
    const request = { channel: group('old'), uids: [uid('ann')], cause: 'admin' } as const;
    await core.services.subscriptions.unsubscribe({ ...request, waitFor: 'local' });
    await until('what others took is known', () => names().join() === 'given,mine');
    await t.throwsAsync(one.subscribe('', 2), { name: 'ClientError' });
  });

  test(`${name}: what is too large for a frame is rejected, and holds up nothing behind it`, async (t) => {
    const { url, subscribe } = await startRealNode(t, factory);
    await subscribe(group('g'), 'ann');
    const { one, states } = client(t, [url]);
    await until('it is connected', () => one.state === 'connected');
    const send = (bytes: number, channel = 'g') =>
      one.send(channel, 2, { payload: Buffer.alloc(bytes, 120).toString('base64') });
    const [large, small] = [send(70_000), send(10)];
    await t.throwsAsync(large, { name: 'ClientError', message: /1009/ });
    t.true((await small).messageSeq > 0);
    t.is(states.filter((state) => state.startsWith('connected')).length, 2, states.join());
  });

  test(`S2-3 ${name}: messages that never came are fetched within one heartbeat, in order, none twice`, async (t) => {
    const { core, url, subscribe, publish, socketOf, repairs } = await startRealNode(t, factory);
    await subscribe(group('g'), 'ann');
    const { one, texts, repaired } = client(t, [url]);
    await until('it is there', () => one.channels().length === 1);
    await publish(group('g'), 'x', 'one');
    await until('the first came', () => texts.length === 1);
    // A fan-out that believes it reached her: nothing on the server's side is amiss.
    const socket = socketOf('ann');
    socket.leave(group('g'));
    const sessionsIn = core.routing.sessionsIn.bind(core.routing);
    core.routing.sessionsIn = () => 0;
    await publish(group('g'), 'x', 'two');
    await publish(group('g'), 'x', 'three');
    core.routing.sessionsIn = sessionsIn;
    socket.join(group('g'));
    await publish(group('g'), 'x', 'four');
    await publish(group('g'), 'x', 'five');
    await until('all came', () => texts.length >= 5);
    await new Promise((resolve) => setTimeout(resolve, 500));
    t.deepEqual(texts, ['one', 'two', 'three', 'four', 'five']);
    t.is(repaired.length, 1);
    t.deepEqual(
      repairs.map(({ layer, action, cause, uid: who }) => [layer, action, cause, who]),
      [['client', 'applied', 'messages-missed', uid('ann')]],
      'the node knows that a client was deaf',
    );
    t.is(core.lists.gaps, 1);
    const [line] = await core.journal.query({ uid: 'ann', cause: 'messages-missed', limit: 1 });
    t.is(line?.action, 'repair');
  });

  test(`${name}: sends are no difference, and a client that is alone with its list asks nothing`, async (t) => {
    const { core, url, subscribe } = await startRealNode(t, factory);
    await subscribe(group('g'), 'ann');
    const { one, texts, repaired } = client(t, [url], { pingMs: 20 });
    await until('it is there', () => one.channels().length === 1);
    for (let i = 0; i < 20; i++) {
      await one.send('g', 2, {
        payload: Buffer.from(`${i}`).toString('base64'),
        clientMsgNo: `${i}`,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
    t.deepEqual([texts, repaired], [[], []]);
    t.is(core.lists.gaps, 0);
  });

  test(`${name}: it comes back at the next address, and stays away after a kick`, async (t) => {
    const { core, url } = await startRealNode(t, factory);
    const { one, states } = client(t, ['ws://127.0.0.1:1', url]);
    await until('it is connected', () => one.state === 'connected');
    t.true(states.some((state) => state.startsWith('waiting')));
    core.routing.sessionsOf(uid('ann'))[0]!.kick(12, 'enough');
    await until('it knows', () => one.state === 'kicked');
    await new Promise((resolve) => setTimeout(resolve, 300));
    t.is(one.state, 'kicked');
  });
}
