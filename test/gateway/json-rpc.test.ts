import test from 'ava';
import { REASON, refuse } from '../../src/core/reason-code.ts';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import { until } from '../support/until.ts';
import { ADAPTERS, startGateway } from './fixture.ts';

const GROUP = '2/g' as ChannelKey;

for (const [name, factory] of ADAPTERS) {
  test(`${name}: connect, subscribe, send, recv, recvack, ping, unsubscribe, disconnect`, async (t) => {
    const { gateway, client, fake } = await startGateway(t, factory);
    const [a, b] = [client('a'), client('b')];
    const accepted = await a.connect();
    t.deepEqual(Object.keys(accepted), ['serverVersion', 'timeDiff', 'reasonCode', 'nodeId']);
    t.is(accepted['reasonCode'], 1);
    t.is(accepted['nodeId'], 4_294_967_301);
    t.true(Math.abs(accepted['timeDiff'] as number) < 5000);
    await b.connect();
    t.is(gateway.counters.sessions, 2);

    const subscribed = await b.subscribe('g');
    t.like(subscribed, {
      channelId: 'g',
      channelType: 2,
      action: 0,
      reasonCode: 1,
      reached: 'all',
    });
    t.deepEqual(subscribed.missing, []);
    t.regex(subscribed.receipt!, /^00000000000000aa:3:\d+$/);

    const sent = await a.send('g', 2, 'hello', {
      topic: 'news',
      expire: 60,
      setting: { receipt: true },
    });
    t.deepEqual(Object.keys(sent), ['messageId', 'messageSeq', 'reasonCode', 'disks']);
    t.is(sent.reasonCode, 1);
    t.is(typeof sent.messageId, 'string');
    await until('it arrived and was acknowledged', () => gateway.counters.acknowledged === 1);
    t.deepEqual(b.received, [
      {
        header: { noPersist: false, redDot: true, syncOnce: false },
        setting: { receipt: true },
        messageId: sent.messageId,
        messageSeq: sent.messageSeq,
        clientMsgNo: 'a-2',
        timestamp: 1_790_000_000,
        channelId: 'g',
        channelType: 2,
        fromUid: 'a',
        payload: Buffer.from('hello').toString('base64'),
        topic: 'news',
        expire: 60,
        prevSeq: 0,
      },
    ] as never);
    t.deepEqual(a.received, []);

    const pong = await a.ping();
    t.is(pong.error, undefined);

    const left = await b.unsubscribe('g', 2, subscribed.receipt);
    t.like(left, { channelId: 'g', action: 1, reasonCode: 1 });
    t.deepEqual(fake.unsubscribed[0]!.receipts, [
      { actor: '00000000000000aa' as never, shard: 3, counter: 1 },
    ]);
    await a.send('g', 2, 'not for b');
    await b.ping();
    t.is(b.received.length, 1);

    b.disconnect();
    await until('it went', () => gateway.counters.sessions === 1 && gateway.counters.sockets === 1);
    t.is(gateway.counters.closes.get(1000), 1);
    t.is(fake.attached.size, 1);
  });

  test(`${name}: the sending session gets the acknowledgement only, its user's other device the message`, async (t) => {
    const { client, fake } = await startGateway(t, factory);
    const [phone, desktop] = [client('a', { deviceFlag: 0 }), client('a', { deviceFlag: 2 })];
    fake.subscribe(GROUP, 'a' as Uid);
    await phone.connect();
    await desktop.connect();
    await phone.send('g', 2, 'one', { header: { noPersist: true } });
    await desktop.send('g', 2, 'two', { header: {} });
    await until('both arrived', () => phone.received.length === 1 && desktop.received.length === 1);
    t.deepEqual([phone.texts(), desktop.texts()], [['two'], ['one']]);
    t.like(desktop.received[0], { messageSeq: 0, header: { noPersist: true, redDot: false } });
    t.false('header' in phone.received[0]!);
  });

  test(`${name}: each user of a person channel sees the other's uid`, async (t) => {
    const { client, fake } = await startGateway(t, factory);
    const [a, b, b2] = [client('a'), client('b'), client('b', { deviceFlag: 2 })];
    for (const one of [a, b, b2]) await one.connect();
    await a.send('b', 1, 'to b');
    await b.send('a', 1, 'to a');
    await until(
      'all arrived',
      () => a.received.length + b.received.length + b2.received.length === 4,
    );
    t.deepEqual(
      [a.texts('b'), b.texts('a'), b2.texts('a'), b2.texts('b')],
      [['to a'], ['to b'], ['to b', 'to a'], []],
    );
    t.is(b.received[0]!.fromUid, 'a');
    t.is(fake.published[0]!.channel, fake.published[1]!.channel);
    await a.send('a', 1, 'note to self');
    const [self] = [client('a', { deviceFlag: 0 })];
    await self.connect();
    await a.send('a', 1, 'again');
    await until('it arrived', () => self.received.length === 1);
    t.is(self.received[0]!.channelId, 'a');
  });

  test(`${name}: business refusals are results, with the reason code`, async (t) => {
    const { client, fake } = await startGateway(t, factory, {
      limits: { subscriptionsPerSessionMax: 1 },
    });
    const a = client('a');
    await a.connect();
    t.like(await a.send('peer@home', 1, 'x'), { messageId: '0', messageSeq: 0, reasonCode: 16 });
    t.like(await a.send('\u0007', 2, 'x'), { reasonCode: 16 });
    t.like(await a.send('g', 11, 'x'), { reasonCode: 23 });
    t.like(await a.send('g', 2, '', { payload: 'not base64!' }), { reasonCode: 9 });
    t.is((await a.subscribe('g', 0)).reasonCode, 23);
    t.is((await a.unsubscribe('g', 2, 'nonsense')).reasonCode, 0);
    t.is((await a.subscribe('g1')).reasonCode, 1);
    t.like(await a.subscribe('g2'), { channelId: 'g2', action: 0, reasonCode: 22 });
    fake.refusal = refuse(REASON.banned, 'the channel is banned');
    t.like(await a.send('g', 2, 'x'), { reasonCode: 19, message: 'the channel is banned' });
    fake.refusal = undefined;
    fake.publishError = new Error('a defect');
    t.like(await a.send('g', 2, 'x'), { reasonCode: 15 });
    t.is(a.closes.length, 0);
  });

  test(`${name}: events reach every JSON-RPC session of a user`, async (t) => {
    const { gateway, client } = await startGateway(t, factory);
    const [a, other] = [client('a'), client('b')];
    await a.connect();
    await other.connect();
    const data = { channelId: 'g', n: 1 };
    gateway.fanout.notify('a' as Uid, { id: 'e1', type: 'recall', timestampMs: 12, data });
    await until('it arrived', () => a.events.length === 1);
    t.deepEqual(a.events, [
      { id: 'e1', type: 'recall', timestamp: 12, data: JSON.stringify(data) },
    ]);
    await other.ping();
    t.deepEqual(other.events, []);
  });

  test(`${name}: no message comes before the reply to connect; frames sent early are handled after it`, async (t) => {
    const { client, fake } = await startGateway(t, factory);
    fake.subscribe(GROUP, 'a' as Uid);
    let open = (): void => {};
    fake.attachGate = new Promise((resolve) => (open = resolve));
    const a = client('a');
    const connecting = a.connect();
    await until('it is being attached', () => fake.attached.size === 1);
    const sent = a.send('g', 2, 'early');
    fake.fanout!.deliver({
      channel: GROUP,
      prevSeq: 0,
      message: {
        ...{ messageId: 1n, messageSeq: 1, clientMsgNo: 'x', fromUid: 'b' as Uid, timestamp: 1 },
        ...{ payload: Buffer.from('before'), noPersist: false, redDot: false, syncOnce: false },
        ...{ setting: 0, topic: '', expire: 0 },
      },
    });
    t.deepEqual([a.received, fake.published], [[], []]);
    open();
    t.is((await connecting)['reasonCode'], 1);
    t.is((await sent).reasonCode, 1);
    t.is(a.received.length, 0);
  });
}
