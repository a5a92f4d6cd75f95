import test from 'ava';
import { WebSocket } from 'ws';
import { HoldfastClient } from '../../src/client/client.ts';
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked, clientOf } from '../support/integration.ts';
import { until } from '../support/until.ts';

const PATIENT_MS = 30_000;

let cluster: TestCluster;
test.before(async () => {
  cluster = await startSharedCluster({ nodes: 3, etcd: false });
  await allLinked(cluster);
});
test.after.always(() => cluster?.end());

async function post(k: number, path: string, body: object): Promise<void> {
  const url = `${cluster.addresses(k).http}${path}`;
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  if (response.status !== 200) throw new Error(`${path} at node ${k}: ${await response.text()}`);
}

function say(k: number, from: string, channel: object): Promise<void> {
  const payload = Buffer.from('hi').toString('base64');
  return post(k, '/message/send', { from_uid: from, ...channel, payload });
}

test.serial(
  'S4-7 what was deleted, left and read on another node while a device was away is so when it is back',
  async (t) => {
    const line: { cut: boolean; socket?: WebSocket } = { cut: false };
    const one = new HoldfastClient({
      ...{ addresses: [cluster.addresses(3).client], uid: 'ann', backoffMaxMs: 200 },
      openSocket(address) {
        line.socket = new WebSocket(line.cut ? 'ws://127.0.0.1:1' : address);
        return line.socket;
      },
      onMessage: () => {},
      onConversations: () => {},
    });
    t.teardown(() => one.stop());
    const names = () =>
      one.conversations
        .all()
        .map(({ channelId, unread }) => `${channelId},${unread}`)
        .sort()
        .join(' ');
    one.start();
    await until('ann is connected', () => one.state === 'connected', PATIENT_MS);
    const g = { channel_id: 'g', channel_type: 2 };
    await post(1, '/channel', { ...g, subscribers: ['ann', 'bob'] });
    for (const name of ['f1', 'f2', 'f3']) {
      await say(1, name, { channel_id: 'ann', channel_type: 1 });
    }
    await say(1, 'bob', g);
    await until('all are unread', () => names() === 'f1,1 f2,1 f3,1 g,1', PATIENT_MS);
    line.cut = true;
    line.socket!.terminate();
    await until('ann is away', () => one.state !== 'connected');
    const of = (name: string) => ({ uid: 'ann', channel_id: name, channel_type: 1 });
    await post(1, '/conversations/delete', of('f1'));
    await post(1, '/conversations/clearUnread', of('f2'));
    await post(1, '/channel/subscriber_remove', { ...g, subscribers: ['ann'] });
    line.cut = false;
    await until('it is as the server has it', () => names() === 'f2,0 f3,1', PATIENT_MS);
    t.is(one.conversations.unread(), 1);
    // And at once while she is there, from another node.
    await post(2, '/conversations/delete', of('f3'));
    await until('the other one is gone as well', () => names() === 'f2,0', PATIENT_MS);
    t.is(one.conversations.unread(), 0);
  },
);

test.serial(
  'a receiver on a node that nobody sends through is told the number before, also after its restart',
  async (t) => {
    const room = { channel_id: 'room', channel_type: 2 };
    await post(1, '/channel', { ...room, subscribers: ['ada', 'ben', 'cyd'] });
    const ada = await clientOf(t, cluster.addresses(1).client, 'ada');
    const six = async (): Promise<void> => {
      const [near, far] = [
        await clientOf(t, cluster.addresses(1).client, 'ben'),
        await clientOf(t, cluster.addresses(3).client, 'cyd'),
      ];
      for (let i = 0; i < 6; i++) await ada.send('room', 2, `m${i}`);
      for (const each of [near, far]) {
        await until('all came', () => each.received.length >= 6, PATIENT_MS);
        const [first, ...rest] = each.received.slice(-6);
        let before = first!.messageSeq;
        for (const { messageSeq, prevSeq } of rest) {
          t.is(prevSeq, before);
          before = messageSeq;
        }
        each.stop();
      }
    };
    await six();
    await cluster.stop(3);
    await cluster.start(3);
    await cluster.whenReady();
    await allLinked(cluster);
    await six();
  },
);
