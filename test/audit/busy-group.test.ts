import test from 'ava';
import { group as channel } from '../support/ids.ts';
import { startVirtualCore, texts } from './virtual-core.ts';

test('F21 a new member of a busy group hears the next message, and one who left hears none', async (t) => {
  const { core, runtime, repairs, attach, subscribe, publish } = await startVirtualCore();
  const group = channel('busy');
  const [ann, bob] = [await attach('ann'), await attach('bob')];
  await subscribe(group, 'ann');
  for (let i = 0; i < 50; i++) await publish(group, 'x', `before ${i}`);
  await subscribe(group, 'bob');
  await publish(group, 'x', 'both');
  const { subscriptions } = core.services;
  const leaving = { channel: group, uids: [ann.uid], cause: 'admin', waitFor: 'local' } as const;
  await runtime.settle(subscriptions.unsubscribe(leaving));
  await publish(group, 'x', 'bob alone');
  t.deepEqual(texts(bob), ['both', 'bob alone']);
  t.is(texts(ann).at(-1), 'both');
  t.deepEqual(repairs, []);
});
