import test from 'ava';
import { checkHello, type HelloQuestion } from '../../../src/cluster/replication/hello.ts';
import { decodeRemembered } from '../../../src/cluster/replication/peer-memory.ts';
import type { Hello } from '../../../src/cluster/link/message.ts';
import type { ActorId, MemberId } from '../../../src/core/ids.ts';
import { member } from '../../support/members.ts';

const [a, b, c] = ['a', 'b', 'c'] as MemberId[] as [MemberId, MemberId, MemberId];
const actor = (digit: string): ActorId => digit.repeat(16) as ActorId;
const row = (base: number) => ({ actor: actor('1'), shard: 3, base, above: [] });

const hello: Hello = {
  type: 'hello',
  whole: true,
  closed: { count: 0, low: 0, high: 0 },
  cluster: 'one',
  protocolMin: 1,
  protocolMax: 2,
  member: b,
  slot: 1,
  slots: 32,
  rosterEpoch: 4,
  storeId: 'aaaa',
  lineage: 'cccc',
  actor: actor('2'),
  vector: [row(10)],
  catchingUp: false,
};

const question: HelloQuestion = {
  hello,
  from: b,
  cluster: 'one',
  protocol: { min: 2, max: 3 },
  self: { id: a, slot: 0 },
  slots: 32,
  roster: { epoch: 4, members: [member('a', 0), member('b', 1), member('c', 2)] },
  running: undefined,
  remembered: undefined,
  own: { lineage: 'cccc', holdsData: true },
};

const said = (change: Partial<Hello>): Partial<HelloQuestion> => ({
  hello: { ...hello, ...change },
});
const before = (storeId: string, base: number, run = '1'): Partial<HelloQuestion> => ({
  remembered: { storeId, actor: actor(run), rows: [row(base)] },
});

const cases: readonly (readonly [string, Partial<HelloQuestion>, string | undefined])[] = [
  ['a good one', {}, undefined],
  ['another cluster', said({ cluster: 'two' }), 'cluster'],
  ['data of another lineage', said({ lineage: 'dddd' }), 'cluster'],
  ['another lineage without data', said({ lineage: 'dddd', vector: [] }), undefined],
  ['data where this store has none', { own: { lineage: 'dddd', holdsData: false } }, undefined],
  ['data without a lineage', said({ lineage: '' }), undefined],
  ['a release too old', said({ protocolMin: 0, protocolMax: 1 }), 'protocol'],
  ['a release too new', said({ protocolMin: 4, protocolMax: 5 }), 'protocol'],
  ['versions that touch', said({ protocolMin: 3, protocolMax: 9 }), undefined],
  ['another number of slots', said({ slots: 1 }), 'slots'],
  ['our own name', { ...said({ member: a, slot: 1 }), from: a }, 'slot'],
  ['our own slot', said({ slot: 0 }), 'slot'],
  ['the slot of another member', said({ slot: 2 }), 'slot'],
  ['a slot that the roster does not give', said({ slot: 9 }), 'slot'],
  ['a name that is not the link’s', said({ member: c, slot: 2 }), 'not-on-roster'],
  [
    'nobody',
    { ...said({ member: 'd' as MemberId, slot: 7 }), from: 'd' as MemberId },
    'not-on-roster',
  ],
  ['another live store', { running: { storeId: 'bbbb', actor: actor('3') } }, 'slot'],
  ['a live copy of the store', { running: { storeId: 'aaaa', actor: actor('3') } }, 'slot'],
  ['its own other link', { running: { storeId: 'aaaa', actor: actor('2') } }, undefined],
  ['as much as was reported', before('aaaa', 10), undefined],
  ['less than was reported', before('aaaa', 11), 'rolled-back'],
  ['less, said by the same run on another link', before('aaaa', 11, '2'), undefined],
  ['less, of another store: wiped', before('bbbb', 11), undefined],
];

for (const [what, change, code] of cases) {
  test(`hello: ${what}: ${code ?? 'welcome'}`, (t) => {
    const refused = checkHello({ ...question, ...change });
    t.is<string | undefined, string | undefined>(refused?.code, code);
    if (refused) t.true(refused.message.length > 10);
  });
}

test('what is remembered is believed only where it is whole', (t) => {
  for (const bytes of [[], [1], [0xc1], [0x81, 0xa1], [0xff, 0xff]]) {
    t.is(decodeRemembered(new Uint8Array(bytes)), undefined);
  }
});
