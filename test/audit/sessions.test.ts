import test from 'ava';
import type { Repair } from '../../src/audit/port.ts';
import { reverseKey, subscriptionKey } from '../../src/core/row-key.ts';
import type { KeyValue } from '../../src/storage/port.ts';
import { group as channel, uid } from '../support/ids.ts';
import { RecordingSession } from '../support/lone-core.ts';
import { startVirtualCore, texts } from './virtual-core.ts';

const group = channel('g');
/** The disk's own audit tells of its layer. */
const found = (repairs: readonly Repair[]): string[] =>
  repairs
    .filter(({ layer }) => layer !== 'disk')
    .map(({ layer, action, cause }) => `${layer} ${action} ${cause}`);

test('S2-3 an entry dropped from the routing index comes back within 2 s, and nobody else notices', async (t) => {
  const { core, runtime, repairs, attach, subscribe, publish } = await startVirtualCore();
  const [ann, bob] = [await attach('ann'), await attach('bob')];
  await subscribe(group, 'ann', 'bob');
  t.true(core.routing.damageEntry(group, uid('ann')));
  t.false(ann.hasJoined(group));
  await runtime.advance(2_000);
  t.true(ann.hasJoined(group));
  t.deepEqual(found(repairs), ['index joined entry-lost']);
  await publish(group, 'bob', 'one');
  t.deepEqual([texts(ann), texts(bob)], [['one'], ['one']]);
});

test('S2-3 S2-6 an entry dropped from the index: the first message of a silent channel puts it right and is not lost', async (t) => {
  const { core, runtime, repairs, attach, subscribe, publish } = await startVirtualCore();
  const ann = await attach('ann');
  const others = await Promise.all(['b', 'c'].map((name) => attach(name)));
  await subscribe(group, 'ann', 'b', 'c');
  await runtime.advance(60_000);
  core.routing.damageEntry(group, uid('ann'));
  await publish(group, 'b', 'one');
  await publish(group, 'b', 'two');
  await runtime.advance(10_000);
  for (const session of [ann, ...others]) t.deepEqual(texts(session), ['one', 'two']);
  t.deepEqual(found(repairs), ['index joined entry-lost']);
});

test('S2-3 two entries of a channel dropped at once: putting one back does not hide the other from the next message', async (t) => {
  const { core, runtime, repairs, attach, subscribe, publish } = await startVirtualCore();
  const [ann, bob] = [await attach('ann'), await attach('bob')];
  await subscribe(group, 'ann', 'bob');
  core.routing.damageEntry(group, uid('ann'));
  core.routing.damageEntry(group, uid('bob'));
  await runtime.settle(core.sessions.indexAudit.checkUser(uid('bob')));
  await publish(group, 'x', 'one');
  t.deepEqual([texts(ann), texts(bob)], [['one'], ['one']]);
  t.deepEqual(found(repairs), Array(2).fill('index joined entry-lost'));
});

test('S2-3 a check that read the disk before a subscription does not take the loss of its entry for what is right', async (t) => {
  const { core, store, runtime, repairs, attach, subscribe, publish } = await startVirtualCore();
  const ann = await attach('ann');
  const scan = store.scan.bind(store);
  // The first read of a range answers late, with what was there before.
  let answer = (): void => {};
  const held = new Promise<void>((resolve) => (answer = resolve));
  store.scan = async function* (range) {
    store.scan = scan;
    const before: (readonly KeyValue[])[] = [];
    for await (const chunk of scan(range)) before.push(chunk);
    await held;
    yield* before;
  };
  const checked = core.sessions.indexAudit.checkUser(uid('ann'));
  await subscribe(group, 'ann');
  await publish(group, 'x', 'one');
  core.routing.damageEntry(group, uid('ann'));
  answer();
  await runtime.settle(checked);
  await runtime.advance(10_000);
  await publish(group, 'x', 'two');
  t.deepEqual(texts(ann), ['one', 'two']);
  t.deepEqual(found(repairs), ['index joined entry-lost']);
});

test('S2-3 a live socket dropped from its topic misses nothing, and is back within 10 s without any message', async (t) => {
  const { runtime, repairs, attach, subscribe, publish } = await startVirtualCore();
  const ann = await attach('ann');
  await subscribe(group, 'ann');
  await runtime.advance(3_000);
  ann.leave(group);
  await publish(group, 'x', 'one');
  t.deepEqual(texts(ann), ['one']);
  ann.leave(group);
  await runtime.advance(10_000);
  t.true(ann.hasJoined(group));
  t.deepEqual(found(repairs), ['sockets joined topic-lost', 'sockets joined topic-lost']);
});

test('S2-3 a session whose topic is lost as it connects is found within a second', async (t) => {
  const { runtime, attach, subscribe } = await startVirtualCore();
  await subscribe(group, 'ann');
  // So many others that the walk alone would take its whole pass.
  for (let i = 0; i < 400; i++) await attach(`other-${i}`);
  await runtime.advance(3_000);
  const ann = await attach('ann');
  ann.leave(group);
  await runtime.advance(1_000);
  t.true(ann.hasJoined(group));
});

test('S2-3 F22 a socket in a topic that nobody subscribed it to leaves it before the next message', async (t) => {
  const { runtime, repairs, attach, subscribe, publish } = await startVirtualCore();
  const [ann, eve] = [await attach('ann'), await attach('eve')];
  await subscribe(group, 'ann');
  eve.join(group);
  await publish(group, 'x', 'one');
  t.deepEqual([texts(ann), texts(eve)], [['one'], []]);
  eve.join(group);
  await runtime.advance(10_000);
  t.false(eve.hasJoined(group));
  t.deepEqual(found(repairs), Array(2).fill('sockets left topic-without-entry'));
});

test('S2-3 a row deleted behind the back takes nobody out of a channel: it is told of once', async (t) => {
  const { store, runtime, repairs, attach, subscribe, publish } = await startVirtualCore();
  const ann = await attach('ann');
  await subscribe(group, 'ann');
  await runtime.advance(3_000);
  store.stage([{ key: subscriptionKey(group, uid('ann')) }]);
  await runtime.advance(2_000);
  t.deepEqual(found(repairs), ['index alarm row-missing']);
  await runtime.advance(10_000);
  await publish(group, 'x', 'one');
  t.deepEqual(texts(ann), ['one']);
  t.is(found(repairs).length, 1);
  const again = await attach('ann', 2);
  t.true(again.hasJoined(group));
});

test('S2-3 F4 a row on disk that the index was never told of is joined, and what was missed comes in order', async (t) => {
  const { core, store, runtime, repairs, attach, subscribe, publish } = await startVirtualCore();
  await subscribe(group, 'ann', 'bob');
  const key = subscriptionKey(group, uid('ann'));
  const row = store.get(key)!;
  // Lost with its reverse, as a hole in a table file: who connects now cannot know of it.
  store.stage([{ key }, { key: reverseKey(uid('ann'), group) }]);
  await publish(group, 'bob', 'before');
  const [ann, bob] = [await attach('ann'), await attach('bob')];
  await publish(group, 'x', 'one');
  await publish(group, 'x', 'two');
  t.deepEqual(texts(ann), []);
  store.stage([
    { key, value: row },
    { key: reverseKey(uid('ann'), group), value: new Uint8Array([1]) },
  ]);
  const racing = Array.from({ length: 200 }, async (_, i) => {
    await new Promise<void>((resolve) => void runtime.timers.after(i * 15, resolve));
    const outcome = await core.services.publisher.publish({
      ...{ channel: group, sender: uid('x'), clientMsgNo: '', noPersist: false, redDot: false },
      ...{ syncOnce: false, setting: 0, topic: '', expire: 0, cause: 'http' },
      payload: new TextEncoder().encode(`racing ${i}`),
    });
    t.true(outcome.ok);
  });
  await runtime.settle(Promise.all(racing));
  await runtime.advance(1_000);
  const all = ['one', 'two', ...Array.from({ length: 200 }, (_, i) => `racing ${i}`)];
  t.deepEqual(texts(bob), all);
  t.deepEqual(texts(ann), all, 'in order, none missing, none twice, nothing from before it came');
  t.deepEqual(found(repairs), ['index joined entry-lost']);
});

test('S2-3 who comes back while its reverse row is lost and subscribes again gets what came before that, once and in order', async (t) => {
  const { core, store, runtime, fanout, attach, subscribe, publish } = await startVirtualCore();
  const before = await attach('ann');
  await subscribe(group, 'ann');
  await publish(group, 'x', 'seen');
  const token = core.services.resumes!.token(uid('ann'));
  core.routing.detach(before);
  fanout.sessions.delete(before);
  await publish(group, 'x', 'while away');
  store.stage([{ key: reverseKey(uid('ann'), group) }]);
  const [ann, other] = [new RecordingSession('ann'), new RecordingSession('ann', 2)];
  for (const session of [ann, other]) {
    fanout.sessions.add(session);
    await runtime.settle(core.routing.attach(session));
    t.false(session.hasJoined(group));
  }
  const { from } = core.services.resumes!.resume({ uid: uid('ann'), token, seen: [] });
  Object.assign(ann, { resumedFrom: from });
  await publish(group, 'x', 'meanwhile');
  await subscribe(group, 'ann');
  await runtime.advance(100);
  await publish(group, 'x', 'after');
  t.deepEqual(texts(ann), ['while away', 'meanwhile', 'after']);
  t.deepEqual(texts(other), ['meanwhile', 'after'], 'it did not ask for what was before it came');
});

test('S2-4 nothing is repaired where nothing is damaged, whatever subscribes, leaves and connects meanwhile', async (t) => {
  const { core, runtime, repairs, fanout, attach, subscribe, publish } = await startVirtualCore();
  const { subscriptions } = core.services;
  const names = Array.from({ length: 20 }, (_, i) => `u${i}`);
  for (let turn = 0; turn < 60; turn++) {
    const name = names[turn % names.length]!;
    const session = await attach(name);
    await subscribe(channel(`g${turn % 7}`), name, names[(turn * 3) % 20]!);
    const request = {
      channel: channel(`g${(turn * 5) % 7}`),
      uids: [uid(name)],
      cause: 'admin',
    } as const;
    await runtime.settle(subscriptions.unsubscribe({ ...request, waitFor: 'local' }));
    await publish(channel(`g${turn % 7}`), name, `m${turn}`);
    await runtime.advance(170);
    if (turn % 3 === 0) {
      fanout.sessions.delete(session);
      core.routing.detach(session);
    }
  }
  await runtime.advance(20_000);
  t.deepEqual(repairs, []);
});
