import test from 'ava';
import { RecentChannels } from '../../../../src/cluster/replication/interest/recent-channels.ts';
import { group } from '../../../support/ids.ts';

function start(channelsMax: number) {
  const time = { ms: 0 };
  const clock = { wallMs: () => 0, monotonicMs: () => time.ms };
  return { time, recent: new RecentChannels(clock, { spanMs: 1000, channelsMax }) };
}

test('a channel is recent for one to two spans after its subscription changed', (t) => {
  const { time, recent } = start(10);
  time.ms = 900;
  recent.add(group('a'));
  t.true(recent.has(group('a')));
  t.false(recent.has(group('b')));
  time.ms = 1900;
  t.true(recent.has(group('a')));
  time.ms = 2000;
  t.false(recent.has(group('a')));
});

test('too many changes at once stand for every channel, and hold no more memory', (t) => {
  const { time, recent } = start(2);
  for (const name of ['a', 'b', 'c']) recent.add(group(name));
  t.true(recent.has(group('never named')));
  time.ms = 2000;
  t.false(recent.has(group('a')));
});
