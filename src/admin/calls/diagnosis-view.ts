import { contextCovers } from '../../core/context.ts';
import { hlcToMs } from '../../core/hybrid-clock.ts';
import { channelIdOf, channelTypeOf, type ActorId, type ChannelKey } from '../../core/ids.ts';
import { REMOVAL } from '../../core/row.ts';
import type { EntryFacts, MemberFacts, SessionFacts } from '../../audit/explain/facts.ts';
import type { Explanation, Finding } from '../../audit/explain/port.ts';
import type { MemberLogEntry } from '../../audit/operations/port.ts';
import type { RepairReport } from '../../audit/repair/port.ts';
import type { VerifyProgress } from '../../audit/verify/port.ts';
import type * as wire from '../diagnosis-messages.ts';

/** From what the audits say to the messages of the proto. */
export function toExplanation(explanation: Explanation): wire.Explanation {
  const { channel, uid, atMs, by, verdict, findings, members, silent, history } = explanation;
  return {
    uid,
    channelId: channelIdOf(channel),
    channelType: channelTypeOf(channel),
    atMs: Math.round(atMs),
    member: by,
    receives: verdict.receives,
    verdict: toFinding(verdict),
    next: verdict.next,
    findings: findings.map(toFinding),
    members: members.map(toMember),
    silent,
    history: history.map(toLogLine),
  };
}

export function toRepairReply({ changes, members, silent, after }: RepairReport): wire.RepairReply {
  return { changes, members, silent, after: toExplanation(after) };
}

export function toVerifyState({ steps, lastTrueMs, proved }: VerifyProgress): wire.VerifyState {
  return { steps, lastTrueMs, ended: proved !== undefined, proved: proved ?? false };
}

export function toLogLine(line: MemberLogEntry): wire.LogLine {
  const { channel, atMs, ...rest } = line;
  const key = channel as ChannelKey;
  const ids = channel === '' ? ['', 0] : [channelIdOf(key), channelTypeOf(key)];
  const [channelId, channelType] = ids as [string, number];
  return { ...rest, atMs: Math.round(atMs), channelId, channelType };
}

function toFinding({ code, member = '', text }: Finding): wire.Finding {
  return { code, member, text };
}

function toMember(facts: MemberFacts): wire.MemberFacts {
  const { member, actor, store, mayWrite, shard, row, denials, index, last } = facts;
  const entries = toEntries(row.entries, shard);
  return {
    ...{ member, actor, mayWrite, shard, index, entries },
    store: store.state,
    storeError: store.error,
    row: rowState(facts, entries),
    reverse: row.reverse,
    denials: denials.map((denial) => {
      const of = toEntries(denial.entries, shard);
      return { reason: denial.reason, live: of.some(({ live }) => live), entries: of };
    }),
    sessions: facts.sessions.map(toSession),
    last: last
      ? {
          messageSeq: last.messageSeq,
          messageId: last.messageId,
          sender: last.fromUid,
          atMs: last.atMs,
        }
      : null,
    interest: facts.interest,
    peers: facts.peers.map(({ unverifiedMs = -1, sweepDueMs = -1, ...peer }) => ({
      ...peer,
      unverifiedMs: Math.round(unverifiedMs),
      sweepDueMs: Math.round(sweepDueMs),
    })),
  };
}

function rowState({ row }: MemberFacts, entries: readonly wire.RowEntry[]): string {
  if (row.damaged) return 'damaged';
  if (entries.some(({ live }) => live)) return 'live';
  return entries.length > 0 ? 'removed' : 'absent';
}

function toEntries(entries: readonly EntryFacts[], shard: number): wire.RowEntry[] {
  const hidden = ({ actor, counter }: EntryFacts): boolean =>
    entries.some(({ context }) =>
      contextCovers(
        context.map((span) => ({ ...span, actor: span.actor as ActorId })),
        actor as ActorId,
        counter,
      ),
    );
  return entries.map((entry) => ({
    dot: `${entry.actor}:${shard}:${entry.counter}`,
    atMs: hlcToMs(entry.hlc),
    removal: entry.tag === REMOVAL,
    live: entry.tag !== REMOVAL && !hidden(entry),
    contextActors: new Set(entry.context.map(({ actor }) => actor)).size,
    contextWrites: entry.context.reduce((sum, { from, to }) => sum + to - from + 1, 0),
  }));
}

function toSession(session: SessionFacts): wire.SessionFacts {
  const { id, deviceFlag, deviceId, protocol, remoteAddress, connectedAtMs } = session;
  const { joined, topics = -1, queueBytes = -1 } = session;
  return {
    ...{ id, deviceFlag, deviceId, protocol, remoteAddress, topics, queueBytes },
    connectedAtMs: Math.round(connectedAtMs),
    inTopic: joined === undefined ? 'unknown' : joined ? 'yes' : 'no',
  };
}
