import test from 'ava';
import type { Repair } from '../../src/audit/port.ts';
import { personChannel } from '../../src/core/placement.ts';
import type { Uid } from '../../src/core/ids.ts';
import { subscriptionKey } from '../../src/core/row-key.ts';
import { topicOf } from '../../src/gateway/fanout.ts';
import { ADAPTERS } from '../gateway/fixture.ts';
import type { EasyClient } from '../support/clients/easy-client.ts';
import { group, uid } from '../support/ids.ts';
import { until } from '../support/until.ts';
import { startRealNode } from './real-node.ts';

const textsOf = (client: EasyClient): string[] =>
  client.received.map(({ payload }) => Buffer.from(payload, 'base64').toString());
const found = ({ layer, action, cause }: Repair): string => `${layer} ${action} ${cause}`;

for (const [name, factory] of ADAPTERS) {
  test(`S2-3 ${name}: a live socket dropped from its topic loses no message, in a group and in a person channel`, async (t) => {
    const { repairs, connect, socketOf, subscribe, publish } = await startRealNode(t, factory);
    const [ann, bob] = [await connect('ann'), await connect('bob')];
    const pair = personChannel('ann' as Uid, 'bob' as Uid);
    await subscribe(group('g'), 'ann', 'bob');
    await subscribe(pair, 'ann', 'bob');
    socketOf('ann').leave(group('g'));
    await publish(group('g'), 'x', 'one');
    socketOf('bob').leave(topicOf(pair, 'bob' as Uid));
    await publish(pair, 'ann', 'two');
    await until('all arrived', () => textsOf(ann).length === 2 && textsOf(bob).length === 2);
    t.deepEqual(textsOf(ann), ['one', 'two']);
    t.deepEqual(textsOf(bob), ['one', 'two']);
    t.deepEqual(repairs.map(found), ['sockets joined topic-lost', 'sockets joined topic-lost']);
  });

  test(`S2-3 ${name}: an entry dropped from the index and its socket from the topic: the next message puts both right`, async (t) => {
    const { core, connect, socketOf, subscribe, publish } = await startRealNode(t, factory);
    const ann = await connect('ann');
    await subscribe(group('g'), 'ann');
    t.true(core.routing.damageEntry(group('g'), uid('ann')));
    t.false(socketOf('ann').isIn(group('g')));
    await publish(group('g'), 'x', 'one');
    await until('it arrived', () => textsOf(ann).length === 1);
    t.true(core.services.subscriptions.isSubscribed(group('g'), uid('ann')));
    t.not(core.replica.read(subscriptionKey(group('g'), uid('ann'))).length, 0);
  });

  test(`S2-3 ${name}: sessions that are still connecting are no reason to repair anything`, async (t) => {
    const { repairs, connect, subscribe, publish } = await startRealNode(t, factory);
    await subscribe(group('g'), ...Array.from({ length: 20 }, (_, i) => `u${i}`));
    const connecting = Promise.all(Array.from({ length: 20 }, (_, i) => connect(`u${i}`)));
    for (let i = 0; i < 30; i++) await publish(group('g'), 'x', `m${i}`);
    await connecting;
    await publish(group('g'), 'x', 'last');
    for (const client of await connecting) {
      await until('the last one arrived', () => textsOf(client).includes('last'));
    }
    t.deepEqual(repairs, []);
  });
}
