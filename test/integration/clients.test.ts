import test from 'ava';
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { EasyClient } from '../support/clients/easy-client.ts';
import { allLinked, clientOf, sameTables } from '../support/integration.ts';
import { until } from '../support/until.ts';

let cluster: TestCluster;

test.before(async () => {
  cluster = await startSharedCluster({
    nodes: 3,
    etcd: false,
    config: { replication: { acknowledge_timeout_ms: 5_000, second_disk_timeout_ms: 5_000 } },
  });
  await allLinked(cluster);
});

test.after.always(() => cluster.end());

async function post(k: number, path: string, body: unknown) {
  const response = await fetch(`${cluster.addresses(k).http}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

test.serial(
  'a retry with one client number is one message, on the same and on another node',
  async (t) => {
    const [a, b, c] = await Promise.all(
      [1, 2, 3].map((k) => clientOf(t, cluster.addresses(k).client, k === 3 ? 'reader' : 'writer')),
    );
    await c!.subscribe('retry');
    const more = { clientMsgNo: 'one' };
    const first = await a!.send('retry', 2, 'text', more);
    t.is(first.reasonCode, 1);
    for (const client of [a!, b!, a!, b!]) {
      const again = await client.send('retry', 2, 'text', more);
      t.is(again.messageId, first.messageId);
      t.is(again.messageSeq, first.messageSeq);
      t.is(again.reasonCode, 1);
    }
    for (const client of [a!, b!])
      t.is((await client.send('retry', 2, 'other', more)).reasonCode, 28);
    await a!.send('retry', 2, 'end');
    await until('the reader has the end', () => c!.texts('retry').includes('end'));
    t.deepEqual(c!.texts('retry'), ['text', 'end']);
  },
);

test.serial('the same number at once on three nodes: every reader shows one message', async (t) => {
  const writers = await Promise.all(
    [1, 2, 3].map((k) => clientOf(t, cluster.addresses(k).client, 'racer')),
  );
  const reader = await clientOf(t, cluster.addresses(2).client, 'race-reader');
  await reader.subscribe('race');
  for (let i = 0; i < 20; i++) {
    const more = { clientMsgNo: `race-${i}` };
    const acks = await Promise.all(writers.map((w) => w.send('race', 2, `r${i}`, more)));
    for (const ack of acks) t.is(ack.reasonCode, 1);
  }
  await writers[0]!.send('race', 2, 'end');
  await until('the end', () => reader.texts('race').includes('end'));
  const texts = reader.texts('race').filter((text) => text !== 'end');
  t.is(new Set(texts).size, 20);
  t.is(texts.length, 20, `doubled: ${texts.filter((x, i) => texts.indexOf(x) !== i).join()}`);
});

test.serial('payloads of every kind, ids with emoji, arrive as they were sent', async (t) => {
  const channel = '房间 🎉 #1 @all &';
  const reader = await clientOf(t, cluster.addresses(3).client, 'čtenář 📖');
  const writer = await clientOf(t, cluster.addresses(1).client, 'писатель ✍️');
  t.is((await reader.subscribe(channel)).reasonCode, 1);
  const payloads = [
    Buffer.alloc(0),
    Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
    Buffer.alloc(45_000, 0xff),
    Buffer.from('"\\\u2028\u0000\n</script>'),
  ];
  for (const bytes of payloads) {
    const sent = await writer.send(channel, 2, '', { payload: bytes.toString('base64') });
    t.is(sent.reasonCode, 1, `${bytes.length} bytes`);
  }
  await until('all have come', () => reader.received.length === payloads.length);
  for (const [i, recv] of reader.received.entries()) {
    t.deepEqual(Buffer.from(recv.payload, 'base64'), payloads[i]);
    t.is(recv.channelId, channel);
    t.is(recv.fromUid, 'писатель ✍️');
  }
});

test.serial(
  'several devices of one user on all nodes; the sender gets only its acknowledgement',
  async (t) => {
    const flags = [0, 1, 2];
    const devices = flags.map((deviceFlag) => {
      const url = cluster.addresses(deviceFlag + 1).client;
      const device = new EasyClient({ url, uid: 'many', deviceFlag });
      t.teardown(() => device.stop());
      return device;
    });
    await Promise.all(devices.map((device) => device.connect()));
    const peer = await clientOf(t, cluster.addresses(2).client, 'peer');
    const sent = await devices[0]!.send('peer', 1, 'first');
    t.is(sent.reasonCode, 1);
    await until('the peer has it', () => peer.texts().length === 1);
    t.is(peer.received[0]!.channelId, 'many');
    await until('the other devices have it', () =>
      devices.slice(1).every((device) => device.texts().length === 1),
    );
    for (const device of devices.slice(1)) t.is(device.received[0]!.channelId, 'peer');
    t.is(devices[0]!.received.length, 0);
    await peer.send('many', 1, 'answer');
    await until('every device has the answer', () =>
      devices.every((device) => device.texts().includes('answer')),
    );
    const online = await until('online everywhere', async () => {
      const { body } = await post(3, '/user/onlinestatus', ['many', 'nobody']);
      const list = body as { uid: string; device_flag: number; online: number }[];
      return list.length === 3 ? list : undefined;
    });
    const found = online.map((one) => one.device_flag).sort((x, y) => x - y);
    t.deepEqual(found, flags);
    t.true(online.every(({ uid, online: on }) => uid === 'many' && on === 1));
    devices[1]!.disconnect();
    await until('the device is gone everywhere', async () => {
      const { body } = await post(1, '/user/onlinestatus', ['many']);
      return (body as unknown[]).length === 2;
    });
  },
);

test.serial('no-persist messages reach other nodes and are stored nowhere', async (t) => {
  const reader = await clientOf(t, cluster.addresses(1).client, 'np-reader');
  const writer = await clientOf(t, cluster.addresses(3).client, 'np-writer');
  await reader.subscribe('np');
  const header = { noPersist: true, redDot: false, syncOnce: false };
  for (let i = 0; i < 50; i++) {
    const sent = await writer.send('np', 2, `np${i}`, { header });
    t.is(sent.reasonCode, 1);
  }
  await until('all have come', () => reader.received.length === 50);
  t.deepEqual(
    reader.texts(),
    Array.from({ length: 50 }, (_, i) => `np${i}`),
  );
});

test.serial('5,000 channels of one user: a reconnect receives on each', async (t) => {
  const uid = 'collector';
  for (let at = 0; at < 5_000; at += 500) {
    const stream = Array.from({ length: 500 }, (_, i) => `many-${at + i}`);
    await Promise.all(
      stream.map((channel_id) =>
        cluster.admin(1).subscribe({ channelId: channel_id, channelType: 2, uids: [uid] }),
      ),
    );
  }
  await sameTables(cluster);
  const collector = await clientOf(t, cluster.addresses(3).client, uid);
  const writer = await clientOf(t, cluster.addresses(2).client, 'writer-many');
  const wanted: string[] = [];
  for (let i = 0; i < 5_000; i += 250) {
    wanted.push(`to ${i}`);
    await writer.send(`many-${i}`, 2, `to ${i}`);
  }
  await until('a message on every one', () => collector.texts().length === wanted.length);
  t.deepEqual(collector.texts(), wanted);
});

test.serial('2,000 subscribers in one call, then a reset to fewer, reach every node', async (t) => {
  const subscribers = Array.from({ length: 2_000 }, (_, i) => `crowd-${i}`);
  const made = await post(1, '/channel', { channel_id: 'crowd', channel_type: 2, subscribers });
  t.is(made.status, 200, JSON.stringify(made.body));
  await sameTables(cluster);
  const last = await clientOf(t, cluster.addresses(2).client, 'crowd-1999');
  const sent = await post(3, '/message/send', {
    ...{ header: {}, from_uid: 'crowd-0', channel_id: 'crowd', channel_type: 2 },
    payload: Buffer.from('hello crowd').toString('base64'),
  });
  t.is(sent.status, 200, JSON.stringify(sent.body));
  await until('delivered', () => last.texts('crowd').includes('hello crowd'));
  const reset = await post(2, '/channel/subscriber_add', {
    ...{ channel_id: 'crowd', channel_type: 2, reset: 1 },
    subscribers: ['crowd-0', 'crowd-0', 'crowd-1'],
  });
  t.is(reset.status, 200, JSON.stringify(reset.body));
  await sameTables(cluster);
  const again = await post(3, '/message/send', {
    ...{ header: {}, from_uid: 'crowd-0', channel_id: 'crowd', channel_type: 2 },
    payload: Buffer.from('fewer').toString('base64'),
  });
  t.is(again.status, 200);
  const stays = await clientOf(t, cluster.addresses(3).client, 'crowd-1');
  await post(1, '/message/send', {
    ...{ header: {}, from_uid: 'crowd-0', channel_id: 'crowd', channel_type: 2 },
    payload: Buffer.from('marker').toString('base64'),
  });
  await until('delivered to who stayed', () => stays.texts('crowd').includes('marker'));
  t.false(last.texts('crowd').includes('fewer'));
  t.false(last.texts('crowd').includes('marker'));
});
