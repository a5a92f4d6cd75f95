import test from 'ava';
import {
  checkMessages,
  checkSet,
  type FinalRead,
  type SentMessage,
  type SessionRecord,
  type SetElement,
} from '../../scripts/chaos/checker.ts';

/** Recorded histories: three nodes, one user, channels `set-0` and on. */
function element(i: number, removal: SetElement['removal'] = 'none'): SetElement {
  return { channel: `set-${i}`, uid: 'w', add: 'acknowledged', removal };
}

function reads(...channels: readonly (readonly number[])[]): FinalRead[] {
  return channels.map((there, index) => ({
    node: `node-${index + 1}`,
    there: new Set(there.map((i) => `set-${i} w`)),
    digest: there.join(),
  }));
}

const CLEAN = { lostAdds: [], returnedRemovals: [], unexpected: [], unequal: [] };

test('chaos checker: a history that lost nothing is clean, whatever became of the unacknowledged', (t) => {
  const elements: SetElement[] = [
    ...[element(0), element(1, 'acknowledged'), element(2, 'unknown')],
    { ...element(3), add: 'unknown' },
  ];
  t.deepEqual(checkSet(elements, reads([0], [0], [0])), CLEAN);
  t.deepEqual(checkSet(elements, reads([0, 2, 3], [0, 2, 3], [0, 2, 3])), CLEAN);
});

test('chaos checker: an acknowledged add that is lost is reported, everywhere or at one node', (t) => {
  const elements = [element(0), element(1)];
  t.deepEqual(checkSet(elements, reads([0], [0], [0])), {
    ...CLEAN,
    lostAdds: ['set-1 w at node-1, node-2, node-3'],
  });
  const { lostAdds } = checkSet(elements, reads([0, 1], [0], [0, 1]));
  t.deepEqual(lostAdds, ['set-1 w at node-2']);
});

test('chaos checker: a removal that comes back is reported, everywhere or at one node', (t) => {
  const elements = [element(0), element(1, 'acknowledged')];
  t.deepEqual(checkSet(elements, reads([0, 1], [0, 1], [0, 1])), {
    ...CLEAN,
    returnedRemovals: ['set-1 w at node-1, node-2, node-3'],
  });
  t.deepEqual(checkSet(elements, reads([0], [0], [0, 1])).returnedRemovals, ['set-1 w at node-3']);
});

test('chaos checker: final reads that differ are reported, though no acknowledged element is touched', (t) => {
  const elements: SetElement[] = [element(0), { ...element(1), add: 'unknown' }];
  const { unequal, lostAdds } = checkSet(elements, reads([0, 1], [0], [0]));
  t.deepEqual(lostAdds, []);
  t.deepEqual(unequal, [
    'set-1 w lacks at node-2, node-3',
    'digests: node-1 0,1, node-2 0, node-3 0',
  ]);
});

test('chaos checker: equal lists under unequal digests are reported, and what nobody ever added', (t) => {
  const same = reads([0], [0], [0]).map((read, i) => ({ ...read, digest: i === 2 ? 'b' : 'a' }));
  t.deepEqual(checkSet([element(0)], same).unequal, ['digests: node-1 a, node-2 a, node-3 b']);
  t.deepEqual(checkSet([], reads([7], [7], [7])).unexpected, ['set-7 w']);
});

function sent(text: string, more: Partial<SentMessage> = {}): SentMessage {
  return { text, atMs: 100, from: 1, disks: 2, ...more };
}

function session(texts: readonly string[], more: Partial<SessionRecord> = {}): SessionRecord {
  return { name: 'reader', openedMs: 0, isOpen: true, texts, ...more };
}

const NONE: ReadonlySet<number> = new Set();

test('chaos checker: a message that is missing is reported, one that may be missing is not', (t) => {
  const messages = [sent('a'), sent('b')];
  const { missing, judged } = checkMessages(messages, [session(['a'])], NONE);
  t.deepEqual([judged, missing], [2, ['reader: b sent at 100, disks 2']]);
  const excused = [
    checkMessages([sent('b', { disks: 'unacknowledged' })], [session([])], NONE),
    checkMessages([sent('b', { disks: 1 })], [session([])], new Set([1])),
    checkMessages([sent('b')], [session([], { isOpen: false })], NONE),
    checkMessages([sent('b')], [session([], { openedMs: 101 })], NONE),
  ];
  for (const findings of excused) t.deepEqual(findings, { judged: 0, missing: [], twice: [] });
  const one = sent('b', { disks: 1 });
  t.is(checkMessages([one], [session([])], new Set([2])).missing.length, 1, 'its disk is there');
});

test('chaos checker: a message that comes twice is reported, to a session that has ended too', (t) => {
  const both = [session(['a', 'b', 'a']), session(['b', 'b'], { name: 'ended', isOpen: false })];
  const { missing, twice } = checkMessages([sent('a'), sent('b')], both, NONE);
  t.deepEqual(missing, []);
  t.deepEqual(twice, ['reader: a', 'ended: b']);
});
