import test from 'ava';
import {
  InterestFeed,
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

test('own interest is kept once somebody is told of it, and is then what it was by all its changes', (t) => {
  const wanted = new Set(['c1']);
  let asked = 0;
  const own = new OwnInterest(() => {
    asked += 1;
    return wanted;
  });
  own.change(['c1'], []);
  t.is(own.digest, 0);
  wanted.add('c2').delete('c1');
  own.change(['c2'], ['c1']);
  const feed = new InterestFeed(own, 100);
  t.false(feed.version > 0);
  t.deepEqual([...own.items], ['c2']);
  t.is(own.digest, digestOf('c2'));
  t.deepEqual(own.change(['c3'], ['c2']), { added: ['c3'], removed: ['c2'] });
  t.is(own.digest, digestOf('c3'));
  t.is(new InterestFeed(own, 100).version + asked, 1);
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

for (const [change, done] of [
  ['drop', 'dropped from'],
  ['add', 'added to'],
] as const) {
  test(`S2-3 F19 an item ${done} a peer's copy of the interest table is found within two heartbeats`, (t) => {
    const { peer, heard } = listen(10_000);
    const items = Array.from({ length: 3_000 }, (_, i) => `c2/${i}`);
    peer.receive(tell(1, { whole: true, add: items }));
    peer.check(1, digestOf(...items));
    t.true(peer.verified);
    for (let beat = 0; beat < 10; beat++) t.true(peer.audit());
    const item = change === 'drop' ? 'c2/77' : 'c2/stranger';
    peer.damage(item, change);
    t.is(peer.mayWant(item), change === 'add');
    const heartbeats = [1, 2].map(() => {
      peer.check(1, digestOf(...items));
      return peer.audit();
    });
    t.true(heartbeats.includes(false));
    t.true(peer.wanted, 'all of it is asked for');
    t.true(peer.mayWant('c2/77'), 'in doubt everything is sent');
    t.true(peer.mayWant('c2/9999'));
    peer.receive(tell(2, { whole: true, add: items }));
    peer.check(2, digestOf(...items));
    t.true(peer.verified);
    t.true(peer.mayWant('c2/77'));
    t.false(peer.mayWant('c2/stranger'));
    t.deepEqual(heard.slice(3_000), change === 'drop' ? ['+c2/77'] : ['-c2/stranger']);
  });
}
