import type { EntryFacts, MemberFacts, SessionFacts } from '../../../src/audit/explain/facts.ts';
import type { MemberLogEntry } from '../../../src/audit/operations/port.ts';
import type { MemberId } from '../../../src/core/ids.ts';
import { REMOVAL } from '../../../src/core/row.ts';

/** Facts of made-up members, for tables of tests. */
export const NOW = 1_700_000_000_000;
export const ACTORS = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc'] as const;

export const agoHlc = (ms: number): number => (NOW - ms) * 1024;

/** The write (node-1's run, 3, counter) of a subscribe one hour ago. */
export function put(counter = 5, ago = 3_600_000): EntryFacts {
  return { actor: ACTORS[0], counter, hlc: agoHlc(ago), tag: 0, context: [] };
}

/** Evidence that has seen node-1's writes up to `seen`. */
export function removal(counter: number, seen: number, ago = 60_000): EntryFacts {
  const context = [{ actor: ACTORS[0], from: 1, to: seen }];
  return { actor: ACTORS[0], counter, hlc: agoHlc(ago), tag: REMOVAL, context };
}

export function session(change: Partial<SessionFacts> = {}): SessionFacts {
  return {
    id: 12,
    deviceFlag: 1,
    deviceId: 'd',
    protocol: 'json-rpc',
    remoteAddress: '10.0.0.9',
    connectedAtMs: NOW - 60_000,
    joined: true,
    topics: 4,
    queueBytes: 0,
    ...change,
  };
}

/** Member k of three that all agree: subscribed, no session, one message 3 s ago. */
export function member(k: 1 | 2 | 3, change: Partial<MemberFacts> = {}): MemberFacts {
  const name = `node-${k}`;
  return {
    member: name,
    atMs: NOW,
    actor: ACTORS[k - 1]!,
    store: { state: 'ok', error: '' },
    mayWrite: true,
    shard: 3,
    seen: [{ actor: ACTORS[0], from: 1, to: 100 }],
    row: { damaged: false, entries: [put()], reverse: true },
    denials: [],
    index: change.sessions ? 'joined' : 'offline',
    sessions: [],
    last: { messageSeq: 32, messageId: '1', fromUid: 'u1', atMs: NOW - 3_000 },
    interest: [],
    peers: ['node-1', 'node-2', 'node-3']
      .filter((peer) => peer !== name)
      .map((peer) => ({ member: peer, live: true, lagging: false, behind: 0, lastError: '' })),
    history: [],
    ...change,
  };
}

export function line(change: Partial<MemberLogEntry>): MemberLogEntry {
  return {
    member: 'node-1' as MemberId,
    atMs: NOW - 3_600_000,
    action: 'subscribe',
    cause: 'http',
    channel: '2/g1',
    uid: 'user-7',
    dot: `${ACTORS[0]}:3:5`,
    result: 'applied',
    detail: '',
    ...change,
  };
}
