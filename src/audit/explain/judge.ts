import { contextCovers } from '../../core/context.ts';
import { hlcToMs } from '../../core/hybrid-clock.ts';
import {
  hasDot,
  isLive,
  liveEntries,
  mergeRows,
  REMOVAL,
  type Entry,
  type Row,
} from '../../core/row.ts';
import type { EntryFacts, MemberFacts } from './facts.ts';
import {
  hears,
  originOf,
  strayEntries,
  toContext,
  toRow,
  type Case,
  type Evidence,
} from './case.ts';
import { judgeMembers, judgeSenders } from './judge-members.ts';
import { judgeSessions } from './judge-sessions.ts';
import { nextStep } from './next-step.ts';
import { FINDING_CODES, type Finding, type Receives, type Verdict } from './port.ts';
import { channelWords, duration, listWords, moment, plural } from './words.ts';

export interface Judgement {
  readonly verdict: Verdict;
  readonly findings: readonly Finding[];
}

/** Why this user does or does not receive: from facts alone, so that every verdict has its test. */
export function judge(evidence: Evidence): Judgement {
  const { members } = evidence;
  const joined = joinRows(
    members.map((facts) => {
      const stray = strayEntries(facts, members);
      return toRow(facts.row.entries).filter(
        ({ actor, counter }) => !hasDot(stray, actor, counter),
      );
    }),
  );
  const bans = joinRows(evidence.members.map((member) => toRow(banOf(member))));
  const asked: Case = {
    ...evidence,
    where: channelWords(evidence.channel),
    joined,
    subscribed: isLive(joined),
    banned: isLive(bans),
  };
  const found = [
    ...judgeBans(asked, bans),
    ...judgeRows(asked),
    ...judgeSubscription(asked),
    ...judgeSessions(asked),
    ...judgeMembers(asked),
    ...judgeSenders(asked),
  ];
  const findings = found.toSorted((a, b) => rankOf(a, asked) - rankOf(b, asked));
  const receives = receivesOf(asked, findings);
  const [worst] = findings;
  const verdict = worst ?? { code: 'unknown' as const, text: 'no node answered' };
  return { verdict: { ...verdict, receives, next: nextStep(verdict, asked) }, findings };
}

/** What is wrong where the user is not connected comes after whether the user receives. */
function rankOf({ code, member }: Finding, { members }: Case): number {
  const rank = FINDING_CODES.indexOf(code);
  const connected = members.filter(({ sessions }) => sessions.length > 0);
  const elsewhere = connected.length > 0 && !connected.some((facts) => facts.member === member);
  const receives = FINDING_CODES.indexOf('receives');
  return member !== undefined && elsewhere && rank < receives ? receives + 0.5 : rank;
}

function receivesOf(
  { subscribed, banned, members, silent }: Case,
  findings: readonly Finding[],
): Receives {
  if (banned || !subscribed) return 'no';
  if (findings.some(({ code }) => code === 'nobody-may-send')) return 'no';
  const all = members.flatMap((facts) => facts.sessions.map((session) => hears(facts, session)));
  if (all.length === 0) return silent.length > 0 ? 'unknown' : 'offline';
  if (all.every(Boolean)) return 'yes';
  return all.some(Boolean) ? 'partly' : 'no';
}

function judgeBans(asked: Case, bans: Row): Finding[] {
  if (!isLive(bans)) return [];
  const { uid, where, members, nowMs } = asked;
  const [entry] = liveEntries(bans);
  const origin = originOf(entry!, asked);
  const found: Finding[] = [
    {
      code: 'banned',
      text:
        `${uid} does NOT receive: banned in ${where} ${origin}, ` +
        `${duration(nowMs - hlcToMs(entry!.hlc))} ago; an allow and a fresh subscribe are needed`,
    },
  ];
  for (const facts of members) {
    if (isLive(toRow(banOf(facts)))) continue;
    const text = `${facts.member} lacks the ban that others have: a divergence, run holdfast repair`;
    found.push({ code: 'ban-diverges', member: facts.member, text });
  }
  return found;
}

/** Each member's row against what all of them know together. */
function judgeRows(asked: Case): Finding[] {
  return asked.members.flatMap((facts) => {
    const { member, row } = facts;
    const own = toRow(row.entries);
    if (isLive(strayEntries(facts, asked.members))) {
      const text = `${member} holds a row that no node ever wrote: damage, it will be put aside`;
      return [{ code: 'row-unknown', member, text } as const];
    }
    if (row.damaged) {
      const text = `${deafWords(asked, facts, 'its row')} is damaged (wrong checksum)`;
      return [{ code: 'row-damaged', member, text } as const];
    }
    const lacks = liveEntries(asked.joined).filter(
      (entry) => !hasDot(own, entry.actor, entry.counter),
    );
    if (asked.subscribed && lacks.length > 0) return [judgeLack(asked, facts, lacks)];
    if (!asked.subscribed && isLive(own)) return [judgeKept(asked, facts)];
    if (isLive(own) && !row.reverse) {
      const text = `${member}: the row is missing from the user's own list, so a new session misses it`;
      return [{ code: 'reverse-missing', member, text } as const];
    }
    return [];
  });
}

function judgeLack(asked: Case, facts: MemberFacts, lacks: readonly Entry[]): Finding {
  const { member, seen } = facts;
  const holders = asked.members
    .filter(({ row }) =>
      lacks.every(({ actor, counter }) => hasDot(toRow(row.entries), actor, counter)),
    )
    .map((holder) => holder.member);
  const lost = lacks.every(({ actor, counter }) => contextCovers(toContext(seen), actor, counter));
  const deaf = deafWords(asked, facts);
  const others = listWords(holders);
  if (lost) {
    const text =
      `${deaf} lacks the row that ${others} ${holders.length === 1 ? 'has' : 'have'} ` +
      `although it has seen the write: lost; ${sweepWords(facts)}`;
    return { code: 'row-lost', member, text };
  }
  const text = `${deaf} has not got the subscription from ${others} yet: ${lagWords(facts, holders)}`;
  return { code: 'row-behind', member, text };
}

/** A session stays in its topic while the row below it goes: then only its next connect is deaf. */
function deafWords({ uid }: Case, facts: MemberFacts, what = 'it'): string {
  const { member, sessions } = facts;
  if (sessions.length === 0) return what === 'it' ? member : `${member}: ${what}`;
  const hearing = sessions.some((session) => hears(facts, session));
  if (!hearing) return `${uid} does NOT receive on ${member}: ${what}`;
  return `${uid} receives on ${member} only until its next connect: ${what}`;
}

function judgeKept(asked: Case, facts: MemberFacts): Finding {
  const knowing = asked.members
    .filter(({ row }) => row.entries.some(({ tag }) => tag === REMOVAL))
    .map(({ member }) => member);
  const text =
    `${facts.member} still has ${asked.uid} subscribed, ${listWords(knowing)} removed it: ` +
    lagWords(facts, knowing);
  return { code: 'removal-behind', member: facts.member, text };
}

function sweepWords({ peers }: MemberFacts): string {
  const due = peers.flatMap(({ sweepDueMs }) => (sweepDueMs === undefined ? [] : [sweepDueMs]));
  const when = due.length > 0 ? `the sweep is due in ${duration(Math.min(...due))}` : 'the sweep';
  return due.length > 0
    ? `${when}, or run holdfast repair`
    : `${when} or holdfast repair brings it`;
}

function lagWords({ peers }: MemberFacts, from: readonly string[]): string {
  const links = peers.filter(({ member }) => from.includes(member));
  const live = links.filter((link) => link.live);
  if (links.length > 0 && live.length === 0) return `it does not hear ${listWords(from)}`;
  const behind = Math.max(0, ...live.map((link) => link.behind));
  return behind > 0 ? `${plural(behind, 'write')} behind` : 'on its way';
}

function judgeSubscription(asked: Case): Finding[] {
  const { subscribed, banned, uid, where, joined, history, nowMs } = asked;
  if (subscribed || banned) return [];
  const removals = joined.filter(({ tag }) => tag === REMOVAL);
  const last = removals.toSorted((a, b) => b.hlc - a.hlc)[0];
  if (last) {
    const when = `${duration(nowMs - hlcToMs(last.hlc))} ago`;
    const text = `${uid} is not subscribed to ${where}: removed ${when} ${originOf(last, asked)}`;
    return [{ code: 'unsubscribed', text }];
  }
  const known = history.find(
    ({ action, result }) => action === 'unsubscribe' && result === 'applied',
  );
  if (known) {
    const { cause, member, atMs } = known;
    const text = `${uid} is not subscribed to ${where}: unsubscribed by ${cause} on ${member} at ${moment(atMs)}`;
    return [{ code: 'unsubscribed', text }];
  }
  const vanished = judgeVanished(asked);
  if (vanished) return [vanished];
  const refused = history.find(({ result }) => result.startsWith('refused'));
  const why = refused
    ? `, the last try was refused at ${moment(refused.atMs)}: ${refused.detail}`
    : ', and no log knows of a subscribe';
  return [{ code: 'never-subscribed', text: `${uid} is not subscribed to ${where}${why}` }];
}

/** No member has a row, none has evidence, and the last word of a log is a subscribe: nobody removed it. */
function judgeVanished({ history, members, uid, where, silent }: Case): Finding | undefined {
  const last = history.find(({ action, result }) => action === 'subscribe' && result === 'applied');
  const rows = members.some(({ row }) => row.entries.length > 0 || row.damaged);
  if (!last || rows) return undefined;
  const { cause, member, atMs } = last;
  const hope = silent.length > 0 ? 'a member that did not answer may have it' : 'subscribe again';
  const text =
    `${uid} has no row for ${where} on any node, though nobody removed it: ` +
    `subscribed by ${cause} on ${member} at ${moment(atMs)}, lost since; ${hope}`;
  return { code: 'row-vanished', text };
}

function joinRows(rows: readonly Row[]): Row {
  return rows.reduce((joined, row) => mergeRows('observed', joined, row), []);
}

function banOf({ denials }: MemberFacts): readonly EntryFacts[] {
  return denials.find(({ reason }) => reason === 'ban')?.entries ?? [];
}
