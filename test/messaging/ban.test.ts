import test from 'ava';
import type { ChannelKey, MemberId } from '../../src/core/ids.ts';
import type { NodeCore } from '../../src/node/core.ts';
import { startCoreTrio } from '../support/core-trio.ts';
import { group, uid } from '../support/ids.ts';
import { RecordingSession } from '../support/lone-core.ts';
import { until } from '../support/until.ts';

const NODE_1 = 'node-1' as MemberId;

function subscribe(core: NodeCore, channel: ChannelKey, name: string) {
  const request = { channel, uids: [uid(name)], cause: 'admin', waitFor: 'local' } as const;
  return core.services.subscriptions.subscribe(request);
}

test('a ban ends for good the subscription that it has seen; one that it has not seen routes again after the allow', async (t) => {
  const { nodes, network } = await startCoreTrio(t);
  const [one, two] = [nodes[0]!.core, nodes[1]!.core];
  const channel = group('room');
  const [eve, fay] = [new RecordingSession('eve'), new RecordingSession('fay')];
  for (const session of [eve, fay]) await one.services.sessions.attach(session);
  await subscribe(one, channel, 'eve');
  await until('node 2 has seen it', () => two.routing.verdict(channel, uid('eve')) === 'live');

  for (const other of ['node-2', 'node-3']) network.partition(NODE_1, other as MemberId);
  await subscribe(one, channel, 'fay');
  t.deepEqual([...eve.joined, ...fay.joined], [channel, channel]);
  for (const name of ['eve', 'fay']) await two.services.directory.deny(channel, uid(name), 'ban');
  network.heal();
  await until('the ban has reached node 1', () => eve.joined.size + fay.joined.size === 0);
  t.is(one.routing.verdict(channel, uid('fay')), 'removed', 'hidden while the ban lasts');

  for (const name of ['eve', 'fay']) await two.services.directory.allow(channel, uid(name), 'ban');
  await until('the allow has reached node 1', () => fay.joined.has(channel));
  await until('every node says so', () =>
    nodes.every(({ core }) => core.routing.verdict(channel, uid('fay')) === 'live'),
  );
  for (const { core } of nodes) t.is(core.routing.verdict(channel, uid('eve')), 'removed');
  t.false(eve.joined.has(channel));
  await subscribe(one, channel, 'eve');
  t.true(eve.joined.has(channel), 'a fresh subscribe');
});
