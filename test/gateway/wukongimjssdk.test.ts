import test from 'ava';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import { bundleSdk, SDK_STATUS, SdkUser, type SdkBundle } from '../support/wukongim/sdk-user.ts';
import { until } from '../support/until.ts';
import { ADAPTERS, startGateway } from './fixture.ts';

let bundle: SdkBundle;
test.before(async () => {
  bundle = await bundleSdk();
});
test.after.always(() => bundle?.remove());

for (const [name, factory] of ADAPTERS) {
  test(`${name}: the unmodified wukongimjssdk connects, sends, is answered, receives, acknowledges and pings`, async (t) => {
    const { gateway, fake, url, client } = await startGateway(t, factory);
    for (const uid of ['a', 'b', 'c']) fake.subscribe('2/g' as ChannelKey, uid as Uid);
    const [a, b] = ['a', 'b'].map((uid) => {
      const user = new SdkUser({ bundle, addresses: [url], uid, heartbeatMs: 200 });
      t.teardown(() => user.stop());
      return user;
    }) as [SdkUser, SdkUser];
    t.like(await a.connect(), { status: SDK_STATUS.connected, reasonCode: 1 });
    t.like(await b.connect(), { status: SDK_STATUS.connected, reasonCode: 1 });
    const c = client('c');
    await c.connect();

    const ack = await a.send('g', 2, 'grüße an alle 👋');
    t.is(ack.reasonCode, 1);
    await until('both dialects have it', () => b.messages.length === 1 && c.received.length === 1);
    t.like(b.messages[0], {
      messageId: ack.messageId,
      messageSeq: ack.messageSeq,
      fromUid: 'a',
      channelId: 'g',
      channelType: 2,
      text: 'grüße an alle 👋',
    });
    t.deepEqual(JSON.parse(c.texts()[0]!), { type: 1, content: 'grüße an alle 👋' });
    t.is(fake.published[0]!.redDot, true);
    t.deepEqual(a.messages, []);
    await until('both acknowledged', () => gateway.counters.acknowledged === 2);

    await b.send('a', 1, 'for you alone');
    await until('it arrived', () => a.messages.length === 1);
    t.like(a.messages[0], { channelId: 'b', channelType: 1, fromUid: 'b', text: 'for you alone' });
    const payload = Buffer.from('{"type":1,"content":"back"}').toString('base64');
    await c.send('b', 1, '', { payload });
    await until('it arrived', () => b.messages.length === 2);
    t.like(b.messages[1], { channelId: 'c', channelType: 1, text: 'back' });

    const heard = gateway.counters.framesIn;
    await until('pings come in', () => gateway.counters.framesIn >= heard + 4);
    await until('and are answered', async () => (await a.unansweredPings()) === 0);
    b.disconnect();
    await until('it went', () => gateway.counters.sessions === 2);
  });

  test(`${name}: the unmodified wukongimjssdk is refused without its token, and kicked by a newer device`, async (t) => {
    const { fake, url, gateway } = await startGateway(t, factory, { auth: 'token' });
    fake.tokens.set('a/1', { token: 'secret', level: 1 });
    const user = (token: string): SdkUser => {
      const one = new SdkUser({ bundle, addresses: [url], uid: 'a', token });
      t.teardown(() => one.stop());
      return one;
    };
    const [wrong, first, second] = [user('wrong'), user('secret'), user('secret')];
    t.like(await wrong.connect(), { reasonCode: 2 });
    t.is(gateway.counters.connectsRefused, 1);
    t.like(await first.connect(), { reasonCode: 1 });
    t.like(await second.connect(), { reasonCode: 1 });
    await until('the first was kicked', () =>
      first.statuses.some(
        ({ status, reasonCode }) => status === SDK_STATUS.kicked && reasonCode === 12,
      ),
    );
    t.is((await second.send('b', 1, 'still here')).reasonCode, 1);
    t.is(fake.attached.size, 1);
    t.is(gateway.counters.kicked, 1);
  });
}
