import test from 'ava';
import { startCluster } from '../support/cluster.ts';
import { etcdAvailable } from '../support/etcd.ts';
import { allLinked } from '../support/integration.ts';
import { until } from '../support/until.ts';
import { bundleSdk, SDK_STATUS, SdkUser } from '../support/wukongim/sdk-user.ts';

const run = etcdAvailable() ? test.serial : test.serial.skip;

run(
  'needs etcd: the unmodified wukongimjssdk on three nodes: tokens, a channel made over HTTP, kill -9, reconnect',
  async (t) => {
    const cluster = await startCluster(t, {
      nodes: 3,
      etcd: true,
      config: { gateway: { auth: 'token' } },
    });
    await allLinked(cluster);
    const post = async (path: string, body: unknown): Promise<unknown> => {
      const response = await fetch(`${cluster.addresses(1).http}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return response.json();
    };
    const uids = ['x', 'y', 'z'];
    for (const uid of uids) {
      const token = { uid, token: `token-${uid}`, device_flag: 1, device_level: 1 };
      t.deepEqual(await post('/user/token', token), { status: 200 });
    }
    const channel = { channel_id: 'team', channel_type: 2, subscribers: uids };
    t.deepEqual(await post('/channel', channel), { status: 200 });

    const bundle = await bundleSdk();
    t.teardown(() => bundle.remove());
    const users = uids.map((uid, i) => {
      const addresses = [0, 1].map((step) => cluster.addresses(((i + step) % 3) + 1).client);
      const user = new SdkUser({ bundle, addresses, uid, token: `token-${uid}` });
      t.teardown(() => user.stop());
      return user;
    });
    for (const user of users) t.is((await user.connect()).status, SDK_STATUS.connected);
    const [x, y, z] = users as [SdkUser, SdkUser, SdkUser];
    const ack = await y.send('team', 2, 'from y');
    t.is(ack.reasonCode, 1);
    await until('x and z receive', () => x.texts('team').length + z.texts('team').length === 2);

    const first = await x.send('z', 1, 'a first private message');
    t.is(first.reasonCode, 1);
    await until('z receives from x', () => z.texts('x').includes('a first private message'));

    const thief = new SdkUser({
      bundle,
      addresses: [cluster.addresses(2).client],
      uid: 'x',
      token: 'wrong',
    });
    t.teardown(() => thief.stop());
    t.not((await thief.connect()).status, SDK_STATUS.connected);

    await cluster.kill9(1);
    await until('x reconnects elsewhere', () => x.status?.status === SDK_STATUS.connected, 30_000);
    await until(
      'x receives on its new node',
      async () => {
        await y.send('team', 2, 'after the kill');
        return x.texts('team').includes('after the kill');
      },
      30_000,
    );
  },
);
