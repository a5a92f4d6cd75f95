import test, { type ExecutionContext } from 'ava';
import { EasyClient } from '../support/clients/easy-client.ts';
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked, sameTables } from '../support/integration.ts';
import { until } from '../support/until.ts';

let cluster: TestCluster;

test.before(async () => {
  cluster = await startSharedCluster({
    nodes: 2,
    etcd: false,
    config: { gateway: { auth: 'token', idle_seconds: 8 } },
  });
  await allLinked(cluster);
});

test.after.always(() => cluster.end());

async function setToken(uid: string, token: string, device_level: number): Promise<void> {
  const response = await fetch(`${cluster.addresses(1).http}/user/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uid, token, device_flag: 1, device_level }),
  });
  if (response.status !== 200) throw new Error(await response.text());
}

function device(t: ExecutionContext, k: number, who: { uid: string; token: string }): EasyClient {
  const client = new EasyClient({ url: cluster.addresses(k).client, ...who, pingMs: 2_000 });
  t.teardown(() => client.stop());
  return client;
}

async function sessionsOf(k: number, uid: string): Promise<number> {
  let count = 0;
  for await (const _ of cluster.admin(k).sessions({ uid })) count += 1;
  return count;
}

async function online(k: number, uid: string): Promise<number> {
  const response = await fetch(`${cluster.addresses(k).http}/user/onlinestatus`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([uid]),
  });
  return ((await response.json()) as unknown[]).length;
}

test.serial(
  'a master device that connects on another node kicks the older one there',
  async (t) => {
    const who = { uid: 'master', token: 'secret' };
    await setToken(who.uid, who.token, 1);
    for (const [from, to] of [
      [1, 2],
      [2, 1],
      [1, 1],
    ] as const) {
      const older = device(t, from, who);
      await until('the token is there', () => older.connect());
      await until('both know', async () => (await online(to, who.uid)) >= 1);
      const newer = device(t, to, who);
      await newer.connect();
      await until(`the older is kicked, ${from} → ${to}`, () => older.closes.length === 1);
      t.is(older.disconnects[0]?.reasonCode, 12);
      t.true(newer.connected);
      t.is((await newer.ping()).error, undefined);
      await until(
        'one is online',
        async () => (await online(1, who.uid)) === 1 && (await online(2, who.uid)) === 1,
      );
      newer.disconnect();
      await until('none is online', async () => (await online(1, who.uid)) === 0);
      await until('none is online', async () => (await online(2, who.uid)) === 0);
    }
  },
);

test.serial(
  'after the other node was away the newest device stays, and the older ones go',
  async (t) => {
    const who = { uid: 'flapper', token: 'secret' };
    await setToken(who.uid, who.token, 1);
    await sameTables(cluster);
    const older = device(t, 2, who);
    await older.connect();
    cluster.pause(2);
    await until('node 2 is not heard', async () => {
      const { members } = await cluster.admin(1).members();
      return members.every(({ peer }) => !peer?.live);
    });
    const newer = device(t, 1, who);
    await newer.connect();
    cluster.resume(2);
    await until('the older is kicked after all', () => older.closes.length === 1, 20_000);
    t.true(newer.connected);
    await newer.ping();
  },
);

test.serial('a token that was changed is refused everywhere, the new one taken', async (t) => {
  await setToken('changer', 'first', 0);
  const before = device(t, 2, { uid: 'changer', token: 'first' });
  await until('the first token', () => before.connect());
  await setToken('changer', 'second', 0);
  const after = device(t, 2, { uid: 'changer', token: 'second' });
  await until('the second token', () => after.connect());
  for (const [k, token] of [
    [1, 'first'],
    [2, 'first'],
    [2, ''],
    [1, 'other'],
  ] as const) {
    const wrong = device(t, k, { uid: 'changer', token });
    const error = await t.throwsAsync(wrong.connect());
    t.is((error as Error & { reply?: { error?: { code: number } } }).reply?.error?.code, 2);
    await until('closed', () => wrong.closes.length === 1);
    t.is(wrong.closes[0]!.code, 1008);
  }
});

test.serial(
  'S2-7 a half-open socket goes within the idle limit, its successor stays',
  async (t) => {
    const who = { uid: 'half-open', token: 'secret' };
    await setToken(who.uid, who.token, 0);
    await sameTables(cluster);
    const silent = new EasyClient({ url: cluster.addresses(1).client, ...who, pingMs: 1e6 });
    t.teardown(() => silent.stop());
    await silent.connect();
    await silent.subscribe('quiet');
    // Nothing is read and nothing answered any more, as when a cable is cut.
    silent.ws!.pause();
    const successor = device(t, 1, who);
    await successor.connect();
    t.is(await sessionsOf(1, who.uid), 2);
    await until('the silent one is gone', async () => (await sessionsOf(1, who.uid)) === 1, 16_000);
    await successor.send('quiet', 2, 'own');
    const other = device(t, 2, who);
    await other.connect();
    await other.send('quiet', 2, 'still routed');
    await until('the successor receives', () => successor.texts().includes('still routed'));
  },
);

test.serial('who stops reading is ended, and nobody waits for it', async (t) => {
  for (const uid of ['slow', 'fast', 'loud']) await setToken(uid, uid, 0);
  await sameTables(cluster);
  const [slow, fast] = ['slow', 'fast'].map((uid) => device(t, 2, { uid, token: uid }));
  const loud = device(t, 1, { uid: 'loud', token: 'loud' });
  for (const client of [slow!, fast!, loud]) await client.connect();
  for (const client of [slow!, fast!]) await client.subscribe('flood');
  slow!.ws!.pause();
  const payload = 'x'.repeat(40_000);
  const header = { noPersist: true, redDot: false, syncOnce: false };
  const messages = 400;
  // No-persist messages are dropped where more than 1 MB waits for a link, or for a client that is
  // merely late: so at most ten, 400 KB, are ahead of who reads. Who does not read delays none of them.
  const aheadMax = 10;
  for (let i = 1; i <= messages; i++) {
    await loud.send('flood', 2, payload, { header });
    await until('the fast one keeps up', () => fast!.received.length >= i - aheadMax, 30_000);
  }
  await until('the fast one has all', () => fast!.received.length === messages, 30_000);
  await until('the slow one is ended', async () => (await online(2, 'slow')) === 0, 75_000);
  t.true(fast!.connected);
});
