import test from 'ava';
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked } from '../support/integration.ts';
import { until } from '../support/until.ts';
import { bundleSdk, SDK_STATUS, SdkUser } from '../support/wukongim/sdk-user.ts';

const PATIENT_MS = 30_000;

let cluster: TestCluster;
test.before(async () => {
  cluster = await startSharedCluster({ nodes: 2, etcd: false });
  await allLinked(cluster);
});
test.after.always(() => cluster?.end());

async function post(k: number, path: string, body: object): Promise<string> {
  const url = `${cluster.addresses(k).http}${path}`;
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${path} at node ${k}: ${text}`);
  return text;
}

test.serial(
  'S4-1 S4-2 S1-5 two new users of the unmodified wukongimjssdk on two nodes: send, receive, conversations, history, recall',
  async (t) => {
    const bundle = await bundleSdk();
    t.teardown(() => bundle.remove());
    const [ada, ben] = [1, 2].map((k) => {
      const { client, http } = cluster.addresses(k);
      const uid = k === 1 ? 'ada' : 'ben';
      const user = new SdkUser({ bundle, addresses: [client], uid, http });
      t.teardown(() => user.stop());
      return user;
    }) as [SdkUser, SdkUser];
    for (const user of [ada, ben]) t.is((await user.connect()).status, SDK_STATUS.connected);

    const first = await ada.send('ben', 1, 'hello, we have never spoken');
    t.is(first.reasonCode, 1);
    await until('ben receives', () => ben.texts('ada').length === 1, PATIENT_MS);
    const answer = await ben.send('ada', 1, 'hello ada');
    t.is(answer.reasonCode, 1);
    await until('ada receives', () => ada.texts('ben').length === 1, PATIENT_MS);
    const slip = await ada.send('ben', 1, 'my password is 12345');
    await until('ben receives the slip', () => ben.texts('ada').length === 2, PATIENT_MS);

    const [ofBen] = await ben.conversations();
    t.like(ofBen, { channelId: 'ada', channelType: 1, unread: 2 });
    t.like(ofBen!.last, { messageId: slip.messageId, text: 'my password is 12345' });
    const [ofAda] = await ada.conversations();
    t.like(ofAda, { channelId: 'ben', unread: 1, last: { fromUid: 'ada' } });
    const said = ['hello, we have never spoken', 'hello ada', 'my password is 12345'];
    for (const [user, other] of [
      [ada, 'ben'],
      [ben, 'ada'],
    ] as const) {
      const history = await user.history(other, 1);
      t.deepEqual(
        history.map(({ text }) => text),
        said,
      );
      t.true(history.every(({ channelId }) => channelId === other));
    }

    // The backend of ada's node takes it back; ben is on the other one.
    const place = { operator: 'ada', channel_id: 'ben', channel_type: 1 };
    await post(1, '/message/revoke', { ...place, message_id: slip.messageId, as: 'user' });
    const told = { cmd: 'messageRevoke', messageId: slip.messageId };
    for (const user of [ada, ben]) {
      await until('the command comes', () => user.commands.length > 0, PATIENT_MS);
      t.like(user.commands[0], { ...told, channelId: user === ada ? 'ben' : 'ada' });
    }
    await until(
      'ben reads a tombstone',
      async () => (await ben.history('ada', 1)).at(-1)!.revoker === 'ada',
      PATIENT_MS,
    );
    t.like((await ben.history('ada', 1)).at(-1), { messageId: slip.messageId, text: '' });
    const [after] = await ben.conversations();
    t.like(after, { unread: 1, last: { text: '', revoker: 'ada' } });
    // Whoever was told twice would have been by now: what follows came after it.
    await ada.send('ben', 1, 'sorry');
    await until('ben receives again', () => ben.texts('ada').length === 3, PATIENT_MS);
    t.deepEqual([ada.commands.length, ben.commands.length], [1, 1]);
  },
);

test.serial(
  'S1-1 an acknowledged send is recalled after kill -9 of the node that took it',
  async (t) => {
    const payload = Buffer.from('a slip').toString('base64');
    const place = { from_uid: 'cid', channel_id: 'dot', channel_type: 1 };
    const sent = await post(1, '/message/send', { ...place, payload });
    const id = /"message_idstr":"(\d+)"/.exec(sent)![1]!;
    t.regex(sent, /"disks":2/);
    await cluster.kill9(1);
    const missing = post(2, '/message/revoke', { ...place, message_id: '4000000000000000001' });
    await t.throwsAsync(missing, { message: /reason 101/ });
    await post(2, '/message/revoke', { ...place, operator: 'cid', as: 'user', message_id: id });
    const recalled = async (k: number): Promise<boolean> => {
      const asked = { login_uid: 'dot', channel_id: 'cid', channel_type: 1 };
      const page = await post(k, '/channel/messagesync', asked);
      return page.includes(`"message_idstr":"${id}"`) && page.includes('"revoker":"cid"');
    };
    t.true(await recalled(2));
    await cluster.start(1);
    await until('the node that took it knows', () => recalled(1), PATIENT_MS);
  },
);
