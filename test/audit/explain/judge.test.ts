import test from 'ava';
import { judge, type Judgement } from '../../../src/audit/explain/judge.ts';
import { FINDING_CODES, type FindingCode, type Receives } from '../../../src/audit/explain/port.ts';
import type { MemberFacts } from '../../../src/audit/explain/facts.ts';
import type { MemberLogEntry, SilentMember } from '../../../src/audit/operations/port.ts';
import type { MemberId } from '../../../src/core/ids.ts';
import { group } from '../../support/ids.ts';
import { ACTORS, agoHlc, line, member, NOW, put, removal, session } from './facts.ts';

interface Example {
  readonly title: string;
  readonly members: readonly MemberFacts[];
  readonly silent?: readonly SilentMember[];
  readonly history?: readonly MemberLogEntry[];
  readonly verdict: FindingCode;
  readonly receives: Receives;
  readonly text: RegExp;
  /** Codes of the further findings, in order. */
  readonly also?: readonly FindingCode[];
}

const GONE = { damaged: false, entries: [], reverse: false };
const LOST = { row: GONE };
const ON = { sessions: [session()] };
const OUT: Partial<MemberFacts> = { sessions: [session({ joined: false })], index: 'absent' };
const NONE = [member(1, LOST), member(2, LOST), member(3, LOST)];
const BAN = { reason: 'ban', entries: [{ ...put(9, 120_000), context: [] }] };
const REMOVED = { damaged: false, entries: [removal(8, 7)], reverse: false };
const BEHIND = { seen: [{ actor: ACTORS[0], from: 1, to: 4 }], ...LOST };
const down = (from: MemberFacts): MemberFacts => ({
  ...from,
  peers: from.peers.map((peer) => ({ ...peer, live: peer.member !== 'node-1' })),
});
const due = (from: MemberFacts): MemberFacts => ({
  ...from,
  peers: from.peers.map((peer) => ({ ...peer, sweepDueMs: 4_000 })),
});

const EXAMPLES: readonly Example[] = [
  {
    title: 'all is well',
    members: [member(1), member(2, { sessions: [session(), session({ id: 13 })] }), member(3)],
    history: [line({})],
    verdict: 'receives',
    receives: 'yes',
    text: /^user-7 receives group g1: subscribed 60 min ago by http on node-1 at 2023-11-14 21:13:20; 2 sessions on node-2; last message 3 s ago, delivered$/,
  },
  {
    title: 'no message was ever sent',
    members: [member(1, { ...ON, last: undefined })],
    verdict: 'receives',
    receives: 'yes',
    text: /; no message yet$/,
  },
  {
    title: 'the last message is not everywhere yet',
    members: [member(1), member(2, { ...ON, last: undefined })],
    verdict: 'receives',
    receives: 'yes',
    text: /last message 3 s ago, not yet on node-2$/,
  },
  {
    title: 'offline',
    members: [member(1), member(2), member(3)],
    verdict: 'offline',
    receives: 'offline',
    text: /^user-7 is offline: subscribed to group g1 .* no session on any node/,
  },
  {
    title: 'no session where anybody answered, and one does not',
    members: [member(1), member(2)],
    silent: [{ member: 'node-3' as MemberId, reason: 'no link' }],
    verdict: 'unknown',
    receives: 'unknown',
    text: /^nobody can tell: user-7 is subscribed to group g1 and has no session on node-1 and node-2, and node-3 did not/,
    also: ['silent'],
  },
  {
    title: 'the session is not in the topic',
    members: [member(1), member(2), member(3, { sessions: [session({ joined: false })] })],
    verdict: 'topic-missing',
    receives: 'no',
    text: /^user-7 does NOT receive on node-3: its row is there, but its session is not in the topic$/,
  },
  {
    title: 'one of two places is deaf',
    members: [member(1, ON), member(2), member(3, { sessions: [session({ joined: false })] })],
    verdict: 'topic-missing',
    receives: 'partly',
    text: /on node-3/,
    also: ['receives'],
  },
  {
    title: 'the index lacks the row',
    members: [member(1), member(3, OUT)],
    verdict: 'index-missing',
    receives: 'no',
    text: /^user-7 does NOT receive on node-3: its row is there, but the routing index lacks it$/,
  },
  {
    title: 'the channels are still being read',
    members: [member(1, { sessions: [session({ joined: false })], index: 'loading' })],
    verdict: 'loading',
    receives: 'no',
    text: /^node-1 is still reading user-7's channels$/,
  },
  {
    title: 'a row was lost where the user is',
    members: [member(1), due(member(2, { ...OUT, ...LOST })), member(3)],
    verdict: 'row-lost',
    receives: 'no',
    text: /^user-7 does NOT receive on node-2: it lacks the row that node-1 and node-3 have although it has seen the write: lost; the sweep is due in 4 s, or run holdfast repair$/,
  },
  {
    title: 'a row was lost below a session that still is in its topic',
    members: [member(1), member(2, { ...ON, ...LOST }), member(3)],
    verdict: 'row-lost',
    receives: 'yes',
    text: /^user-7 receives on node-2 only until its next connect: it lacks the row that node-1 and/,
    also: ['receives'],
  },
  {
    title: 'a row was lost elsewhere: the user receives all the same',
    members: [member(1, ON), member(2, LOST), member(3)],
    verdict: 'receives',
    receives: 'yes',
    text: /^user-7 receives/,
    also: ['row-lost'],
  },
  {
    title: 'a row has not come yet',
    members: [
      member(1),
      member(2, {
        ...OUT,
        ...BEHIND,
        peers: [{ member: 'node-1', live: true, lagging: false, behind: 3, lastError: '' }],
      }),
    ],
    verdict: 'row-behind',
    receives: 'no',
    text: /^user-7 does NOT receive on node-2: it has not got the subscription from node-1 yet: 3 writes behind$/,
    also: ['lagging'],
  },
  {
    title: 'a row cannot come: the link is down',
    members: [member(1), down(member(2, { ...OUT, ...BEHIND }))],
    verdict: 'row-behind',
    receives: 'no',
    text: /it does not hear node-1$/,
    also: ['link-down'],
  },
  {
    title: 'a damaged row',
    members: [member(1), member(2, { ...OUT, row: { ...GONE, damaged: true } })],
    verdict: 'row-damaged',
    receives: 'no',
    text: /^user-7 does NOT receive on node-2: its row is damaged \(wrong checksum\)$/,
  },
  {
    title: "the row is missing from the user's own list",
    members: [member(1, { row: { damaged: false, entries: [put()], reverse: false } })],
    verdict: 'reverse-missing',
    receives: 'offline',
    text: /a new session misses it$/,
    also: ['offline'],
  },
  {
    title: 'unsubscribed, by the evidence in the row',
    members: [member(1, { row: REMOVED }), member(2, { row: REMOVED })],
    history: [line({ action: 'unsubscribe', dot: `${ACTORS[0]}:3:8`, atMs: NOW - 60_000 })],
    verdict: 'unsubscribed',
    receives: 'no',
    text: /^user-7 is not subscribed to group g1: removed 60 s ago by http on node-1 at 2023-11-14 22:12:20$/,
  },
  {
    title: 'unsubscribed, the evidence is collected, a log still knows',
    members: NONE,
    history: [line({ action: 'unsubscribe', atMs: NOW - 60_000 })],
    verdict: 'unsubscribed',
    receives: 'no',
    text: /unsubscribed by http on node-1 at 2023-11-14 22:12:20$/,
  },
  {
    title: 'never subscribed',
    members: NONE,
    verdict: 'never-subscribed',
    receives: 'no',
    text: /^user-7 is not subscribed to group g1, and no log knows of a subscribe$/,
  },
  {
    title: 'the row is lost on every node, as a log knows',
    members: NONE,
    history: [line({})],
    verdict: 'row-vanished',
    receives: 'no',
    text: /^user-7 has no row for group g1 on any node, though nobody removed it: subscribed by http on/,
  },
  {
    title: 'the subscribe was refused',
    members: NONE,
    history: [line({ result: 'refused (24)', detail: 'the channel is disbanded' })],
    verdict: 'never-subscribed',
    receives: 'no',
    text: /the last try was refused at .*: the channel is disbanded$/,
  },
  {
    title: 'a removal has not come everywhere',
    members: [member(1, { row: REMOVED }), member(2, ON)],
    verdict: 'removal-behind',
    receives: 'no',
    text: /^node-2 still has user-7 subscribed, node-1 removed it: on its way$/,
    also: ['unsubscribed'],
  },
  {
    title: 'a removal is never concluded from a row that is absent',
    members: [member(1, { ...OUT, ...LOST }), member(2), member(3, LOST)],
    verdict: 'row-lost',
    receives: 'no',
    text: /node-2 has/,
    also: ['row-lost'],
  },
  {
    title: 'banned',
    members: [
      member(1, { row: REMOVED, denials: [BAN] }),
      member(2, { row: REMOVED, denials: [BAN] }),
    ],
    history: [line({ action: 'deny', dot: `${ACTORS[0]}:3:9`, cause: 'admin' })],
    verdict: 'banned',
    receives: 'no',
    text: /^user-7 does NOT receive: banned in group g1 by admin on node-1 .*, 2 min ago; an allow and/,
  },
  {
    title: 'a ban is missing on one member, which still routes',
    members: [member(1, { row: REMOVED, denials: [BAN] }), member(2, { row: REMOVED, ...ON })],
    verdict: 'banned',
    receives: 'no',
    text: /banned/,
    also: ['ban-diverges', 'index-stale'],
  },
  {
    title: 'a socket stayed in the topic',
    members: [member(1, { row: REMOVED, index: 'absent', sessions: [session()] })],
    verdict: 'topic-stale',
    receives: 'no',
    text: /^node-1: session 12 still in the topic/,
    also: ['unsubscribed'],
  },
  {
    title: 'the channel is disbanded',
    members: [
      member(1, { ...ON, denials: [{ reason: 'channel disband', entries: [put(6)] }] }),
      member(2),
    ],
    verdict: 'nobody-may-send',
    receives: 'no',
    text: /^group g1 is disbanded \(channel disband, for 60 min, on node-1 at .*\): nobody may send, so user-7 gets nothing$/,
  },
  {
    title: 'a row that a sweep gave back is not told as made by the sweep',
    members: [member(1, ON)],
    history: [line({ action: 'repair', cause: 'lost-row', result: 'restored' }), line({})],
    verdict: 'receives',
    receives: 'yes',
    text: /subscribed 60 min ago by http on node-1 at/,
  },
  {
    title: 'a row that nobody wrote subscribes nobody',
    members: [
      member(1, LOST),
      member(2, {
        row: { damaged: false, entries: [{ ...put(), actor: ACTORS[2] }], reverse: false },
      }),
      member(3, LOST),
    ],
    verdict: 'row-unknown',
    receives: 'no',
    text: /^node-2 holds a row that no node ever wrote: damage/,
    also: ['never-subscribed'],
  },
  {
    title: "a peer's interest copy is wrong: what is not stored does not come",
    members: [
      member(1, { interest: [{ member: 'node-2', channel: false, devices: 1 }] }),
      member(2, ON),
      member(3, { interest: [{ member: 'node-2', channel: true, devices: 1 }] }),
    ],
    verdict: 'receives',
    receives: 'yes',
    text: /^user-7 receives group g1/,
    also: ['interest-missing'],
  },
  {
    title: 'a slow reader, a disk, a store that catches up, a mute, all at once',
    members: [
      member(1, { sessions: [session({ queueBytes: 900_000 })] }),
      member(2, { store: { state: 'failing', error: 'no space left' }, mayWrite: false }),
      member(3, { denials: [{ reason: 'mute', entries: [put(6)] }] }),
    ],
    verdict: 'slow',
    receives: 'yes',
    text: /^user-7 reads slowly on node-1: 879 KB wait in session 12$/,
    also: ['receives', 'catching-up', 'disk-failing', 'may-not-send'],
  },
];

function judgeExample({ members, silent = [], history = [] }: Example): Judgement {
  const asked = { channel: group('g1'), uid: 'user-7', nowMs: NOW };
  return judge({ ...asked, members, silent, history });
}

for (const example of EXAMPLES) {
  test(`S2-9 verdict: ${example.title}`, (t) => {
    const { verdict, findings } = judgeExample(example);
    t.regex(verdict.text, example.text);
    t.like(verdict, { code: example.verdict, receives: example.receives });
    t.not(verdict.next, '', 'what to do is said');
    t.deepEqual(
      findings.map(({ code }) => code),
      [example.verdict, ...(example.also ?? [])],
    );
  });
}

test('every finding has its example', (t) => {
  const seen = new Set(EXAMPLES.flatMap(({ verdict, also = [] }) => [verdict, ...also]));
  t.deepEqual(
    FINDING_CODES.filter((code) => !seen.has(code)),
    [],
  );
});

test('evidence that has not seen the row does not remove it: a concurrent subscribe wins', (t) => {
  const rows = { damaged: false, entries: [removal(8, 4), put(5)], reverse: true };
  const { verdict } = judgeExample({ ...EXAMPLES[0]!, members: [member(1, { row: rows, ...ON })] });
  t.is(verdict.receives, 'yes');
  t.is(agoHlc(0), NOW * 1024);
});
