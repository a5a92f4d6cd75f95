import test from 'ava';
import { countOutcomes, Outcomes } from '../../src/node/outcomes.ts';
import { group, uid } from '../support/ids.ts';
import { message, startLoneCore } from '../support/lone-core.ts';
import { testRuntime } from '../support/runtime.ts';

test('calls are counted by how they ended', async (t) => {
  const { core, stop } = await startLoneCore();
  const { publisher, subscriptions } = core.services;
  const durations: number[] = [];
  core.outcomes.observePublish = (seconds) => durations.push(seconds);
  const channel = group('g');
  const uids = [uid('a'), uid('b')];
  const request = { channel, uids, cause: 'admin', waitFor: 'local' } as const;
  await subscriptions.subscribe(request);
  await subscriptions.unsubscribe({ ...request, uids: [uid('b')] });
  await publisher.publish(message(channel, 'a', 'x'));
  await publisher.publish({ ...message(channel, 'a', 'y'), clientMsgNo: 'z'.repeat(1000) });
  await core.services.directory.setChannel(channel, {}, { disband: true });
  await subscriptions.subscribe(request);
  const { subscribed, unsubscribed, subscriptionsRefused } = core.outcomes;
  t.deepEqual(
    { subscribed, unsubscribed, subscriptionsRefused },
    {
      subscribed: 2,
      unsubscribed: 1,
      subscriptionsRefused: 2,
    },
  );
  t.is(core.outcomes.published, 1);
  t.is(core.outcomes.publishesRefused, 1);
  t.is(core.outcomes.shortOfDisk + core.outcomes.shortOfRouting, 0);
  t.is(durations.length, 1);
  await stop();
});

test('a retry is a publish again, but not one more that was short of a disk', async (t) => {
  const livePeer = { clock: testRuntime.clock, livePeers: () => 1 };
  const { core, stop } = await startLoneCore();
  const outcomes = new Outcomes();
  const { publisher } = countOutcomes(core.services, outcomes, livePeer);
  const request = { ...message(group('g'), 'a', 'x'), clientMsgNo: 'm1' };
  const first = await publisher.publish(request);
  const again = await publisher.publish(request);
  t.true(first.ok && again.ok && again.value.messageSeq === first.value.messageSeq);
  t.is(outcomes.published, 2);
  t.is(outcomes.shortOfDisk, 1);
  await stop();
});
