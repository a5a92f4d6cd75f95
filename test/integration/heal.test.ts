import { join } from 'node:path';
import { Level } from 'level';
import test, { type ExecutionContext } from 'ava';
import type { FaultRequest } from '../../src/admin/messages.ts';
import { subscriptionKey } from '../../src/core/row-key.ts';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import type { EasyClient } from '../support/clients/easy-client.ts';
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked, clientOf, PATIENCE, sameTables } from '../support/integration.ts';
import { until } from '../support/until.ts';

/** On a busy machine even a process that does nothing is late by this much. */
const DEADLINE_MS_MIN = 10_000;
const HIT = 2;

let cluster: TestCluster;
test.before(async () => {
  const config = { audit: { profile: 'fast', fault_injection: 'on' } };
  cluster = await startSharedCluster({ nodes: 3, etcd: false, config });
  await allLinked(cluster);
});
test.after.always(() => cluster?.end());

interface Case {
  readonly title: string;
  readonly fault: Partial<FaultRequest>;
  /** The node that is damaged; where absent, the one whose user is watched. */
  readonly at?: number;
  /** From damage to repair in the fast profile: a fifth of what design says. */
  readonly boundMs: number;
  /** Absent: nothing is repaired that would be logged, what was lost is asked for. */
  readonly layers?: readonly string[];
}

const CASES: readonly Case[] = [
  {
    ...{ title: 'a deleted row', fault: { kind: 'delete-row' }, boundMs: 2_000 },
    layers: ['disk', 'peers', 'index'],
  },
  {
    ...{ title: 'a row with a wrong bit', fault: { kind: 'corrupt-row' }, boundMs: 2_000 },
    layers: ['disk', 'peers'],
  },
  {
    ...{ title: 'a row with other content', fault: { kind: 'alter-row' }, boundMs: 2_000 },
    layers: ['disk', 'peers'],
  },
  {
    ...{ title: 'a dropped index entry', fault: { kind: 'drop-index-entry' }, boundMs: 400 },
    layers: ['index'],
  },
  {
    ...{ title: 'a dropped topic', fault: { kind: 'drop-topic' }, boundMs: 2_000 },
    layers: ['sockets'],
  },
  {
    ...{ title: 'an altered copy of interest', boundMs: 400, at: 1 },
    fault: { kind: 'drop-interest', member: 'node-2' },
    layers: ['interest'],
  },
  {
    ...{ title: 'lost deltas', boundMs: 400, at: 1 },
    fault: { kind: 'drop-deltas', member: 'node-2', percent: 100, seconds: 1 },
  },
];

for (const [index, { title, fault, boundMs, layers, at = HIT }] of CASES.entries()) {
  test.serial(
    `S2-3 ${title}: found and repaired, messages meanwhile arrive in order, none twice, nobody else notices`,
    async (t) => {
      const room = `heal-${index}`;
      const { hit, other, sender } = await people(t, room);
      const sent = pace(sender, room);
      const beganMs = performance.now();
      await cluster.admin(at).injectFault({
        ...{ uid: hit.uid, channelId: room, channelType: 2, ...fault },
      });
      const deadlineMs = Math.max(DEADLINE_MS_MIN, boundMs * PATIENCE);
      if (layers) await whenRepaired(at, { room, layers, deadlineMs });
      else {
        // While they are lost; equal before the first of them would prove nothing.
        const isOver = (): boolean => performance.now() - beganMs > 1_000;
        await until('deltas were lost for a second', isOver);
      }
      t.log(`${Math.round(performance.now() - beganMs)} ms until it was repaired`);
      const texts = await sent.end();
      await until('all of them arrived', () => hit.texts().length >= texts.length, deadlineMs);
      await until('and elsewhere', () => other.texts().length >= texts.length, deadlineMs);
      // A message whose delta was lost comes late: its number and `prevSeq` say where it belongs.
      t.deepEqual(layers ? hit.texts() : bySeq(hit), texts);
      t.deepEqual(other.texts(), texts);
      for (const each of [hit, other]) t.is(each.disconnects.length + each.closes.length, 0);
      await sameTables(cluster);
    },
  );
}

/** What came, in the order of the channel. */
function bySeq({ received }: EasyClient): string[] {
  const ordered = received.toSorted((a, b) => a.messageSeq - b.messageSeq);
  return ordered.map(({ payload }) => Buffer.from(payload, 'base64').toString());
}

/** One on the damaged node, one on another, and who sends on the third. */
async function people(
  t: ExecutionContext,
  room: string,
): Promise<Record<'hit' | 'other' | 'sender', EasyClient>> {
  const [hit, other, sender] = await Promise.all([
    clientOf(t, cluster.addresses(HIT).client, `${room}-hit`),
    clientOf(t, cluster.addresses(3).client, `${room}-other`),
    clientOf(t, cluster.addresses(1).client, `${room}-sender`),
  ]);
  for (const each of [hit, other]) t.is((await each.subscribe(room)).reached, 'all');
  await sender.send(room, 2, 'before');
  await until('both receive', () => hit.texts().length + other.texts().length === 2);
  return { hit, other, sender };
}

/** Sends one message after the other until it is told to end; then the texts of all. */
function pace(sender: EasyClient, room: string): { end(): Promise<readonly string[]> } {
  const texts = ['before'];
  const state = { isOver: false };
  const send = async (text: string): Promise<void> => {
    const reply = await sender.send(room, 2, text);
    if (reply.reasonCode !== 1) throw new Error(`${text}: refused with ${reply.reasonCode}`);
    texts.push(text);
  };
  const all = (async () => {
    for (let i = 0; !state.isOver; i++) {
      await send(`message ${i}`);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    await send('after');
  })();
  return {
    async end() {
      state.isOver = true;
      await all;
      return texts;
    },
  };
}

/** The node's own log says that it repaired one of these layers. */
async function whenRepaired(
  at: number,
  { room, layers, deadlineMs }: { room: string; layers: readonly string[]; deadlineMs: number },
): Promise<void> {
  await until(
    `a repair of ${layers.join(' or ')}`,
    async () => {
      // What is kept of a peer's interest is no matter of one channel.
      const isOne = layers[0] !== 'interest';
      const about = isOne ? { channel: { channelId: room, channelType: 2 } } : {};
      const { lines } = await cluster.admin(at).operationLog(about);
      return lines.some(
        ({ action, member, detail }) =>
          action === 'repair' &&
          member === cluster.id(at) &&
          layers.some((layer) => detail.startsWith(layer)),
      );
    },
    deadlineMs,
  );
}

test.serial(
  'S2-9 explain names a lost row or its repair, repair puts it right, and again finds nothing to do',
  async (t) => {
    const room = 'explained';
    const { hit, sender } = await people(t, room);
    const pair = { uid: hit.uid, channelId: room, channelType: 2 };
    await cluster.admin(HIT).injectFault({ ...pair, kind: 'delete-row' });
    const told = await cluster.admin(1).explain(pair);
    const lost = told.members.find(({ member }) => member === cluster.id(HIT));
    const isRepaired = told.history.some(({ action }) => action === 'repair');
    t.true(lost?.row !== 'live' || isRepaired, `row ${lost?.row}, ${told.verdict?.text}`);
    await cluster.admin(1).repair(pair);
    await sender.send(room, 2, 'after the repair');
    await until('it arrives', () => hit.texts().includes('after the repair'));
    t.deepEqual((await cluster.admin(1).repair(pair)).changes, []);
    const after = await cluster.admin(1).explain(pair);
    t.is(after.receives, 'yes', after.verdict?.text);
    t.deepEqual(hit.texts(), ['before', 'after the repair']);
  },
);

test.serial('S2-8 the log has a line for every divergence that the metrics count', async (t) => {
  for (const k of cluster.numbers) {
    await until(`the log and the metrics of node ${k} agree`, async () => {
      const { lines } = await cluster.admin(k).operationLog({ limit: 1_000 });
      const logged = lines.filter(
        ({ action, member }) => action === 'repair' && member === cluster.id(k),
      );
      const counted = await divergencesCounted(k);
      return logged.length === counted;
    });
  }
  t.true((await divergencesCounted(HIT)) >= 5);
});

async function divergencesCounted(k: number): Promise<number> {
  const answer = await fetch(`${cluster.addresses(k).http}/metrics`);
  const lines = (await answer.text()).split('\n');
  const counters = lines.filter((line) => line.startsWith('holdfast_divergence_found_total{'));
  return counters.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

test.serial(
  'S2-3 a store file edited while the node was down heals after start: row lost, altered, and one that should not be there',
  async (t) => {
    const rooms = ['lost', 'altered', 'kept'];
    const user = await clientOf(t, cluster.addresses(1).client, 'edited');
    for (const room of rooms) t.is((await user.subscribe(room)).reached, 'all');
    const before = await sameTables(cluster);
    // From either side: the one that dials and the one that is dialled.
    for (const k of [3, 1]) {
      await cluster.stop(k);
      await edit(cluster.storeDir(k));
      await cluster.start(k);
      await allLinked(cluster);
      t.is(await sameTables(cluster, 60_000), before);
      for (const at of cluster.numbers) t.deepEqual(await roomsOf(at, 'edited'), rooms.toSorted());
    }
  },
);

/** As a program of somebody else would: no sum, no vector and no log row hears of it. */
async function edit(folder: string): Promise<void> {
  const db = new Level<string, Uint8Array>(join(folder, 'rows'), { valueEncoding: 'view' });
  const keyOf = (room: string): string =>
    subscriptionKey(`2/${room}` as ChannelKey, 'edited' as Uid);
  const kept = await db.get(keyOf('kept'));
  const altered = Uint8Array.from(await db.get(keyOf('altered')));
  altered[altered.length >> 1]! ^= 0xff;
  await db.batch([
    { type: 'del', key: keyOf('lost') },
    { type: 'put', key: keyOf('altered'), value: altered },
    // A copy of a good row under another key, as it is.
    { type: 'put', key: keyOf('never-asked-for'), value: kept },
  ]);
  await db.close();
}

async function roomsOf(k: number, uid: string): Promise<readonly string[]> {
  const rooms: string[] = [];
  for await (const page of cluster.admin(k).listSubscriptions({})) {
    rooms.push(...page.channelIds.filter((_, i) => page.uids[i] === uid));
  }
  return rooms.toSorted();
}
