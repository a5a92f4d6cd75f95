import test from 'ava';
import {
  OwnInterest,
  PeerInterest,
} from '../../../../src/cluster/replication/interest/interest.ts';
import type { Interest } from '../../../../src/cluster/link/message.ts';

const tell = (version: number, change: Partial<Interest>): Interest => ({
  type: 'interest',
  version,
  whole: false,
  add: [],
  remove: [],
  ...change,
});

function digestOf(...items: string[]): number {
  const own = new OwnInterest();
  own.change(items, []);
  return own.digest;
}

function listen(itemsMax = 100) {
  const heard: string[] = [];
  const peer = new PeerInterest(itemsMax, ({ added, removed }) => {
    heard.push(...added.map((item) => `+${item}`), ...removed.map((item) => `-${item}`));
  });
  return { peer, heard };
}

test('the digest does not depend on the order, and returns to where it was', (t) => {
  const own = new OwnInterest();
  own.change(['c1', 'c2', 'c3'], ['c2']);
  t.is(own.digest, digestOf('c3', 'c1'));
  t.deepEqual(own.change(['c1'], ['c9']), { added: [], removed: [] });
});

test('only a digest that fits lets anything be filtered', (t) => {
  const { peer } = listen();
  t.true(peer.mayWant('c9'), 'unknown: in doubt everything is sent');
  peer.receive(tell(1, { whole: true, add: ['c1'] }));
  t.true(peer.mayWant('c9'));
  peer.check(1, digestOf('c1'));
  t.false(peer.mayWant('c9'));
  t.true(peer.mayWant('c1'));
  peer.check(1, digestOf('c1', 'c2'));
  t.true(peer.mayWant('c9'));
  t.true(peer.wanted);
});

test('a missed version is a gap; a repeated one changes nothing', (t) => {
  const { peer, heard } = listen();
  peer.receive(tell(1, { whole: true, add: ['c1'] }));
  peer.check(1, digestOf('c1'));
  peer.receive(tell(2, { add: ['c2'] }));
  peer.receive(tell(2, { add: ['c2'] }));
  t.deepEqual(heard, ['+c1', '+c2']);
  t.false(peer.wanted);
  peer.receive(tell(4, { remove: ['c1'] }));
  t.true(peer.wanted);
  t.true(peer.items().has('c1'), 'what comes after a gap is not applied');
  peer.receive(tell(5, { whole: true, add: ['c2'] }));
  t.false(peer.wanted);
});

test('a reconnect makes nobody look gone before the new announcement is verified', (t) => {
  const { peer, heard } = listen();
  peer.receive(tell(7, { whole: true, add: ['c1', 'c2'] }));
  peer.check(7, digestOf('c1', 'c2'));
  heard.length = 0;
  peer.restart();
  peer.receive(tell(1, { whole: true, add: ['c1'] }));
  t.true(peer.items().has('c2'));
  peer.receive(tell(2, { add: ['c3'] }));
  peer.check(0, 0);
  t.deepEqual(heard, ['+c3']);
  peer.check(2, digestOf('c1', 'c3'));
  t.deepEqual(heard, ['+c3', '-c2']);
  peer.drop();
  t.deepEqual(heard.slice(2).sort(), ['-c1', '-c3']);
});

test('past its limit a table is kept small and never believed', (t) => {
  const { peer } = listen(2);
  peer.receive(tell(1, { whole: true, add: ['c1', 'c2', 'c3'] }));
  peer.check(1, digestOf('c1', 'c2', 'c3'));
  t.is(peer.items().size, 2);
  t.true(peer.mayWant('c3'));
  t.false(peer.verified);
});
