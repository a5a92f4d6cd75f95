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
import { hears, originOf, toContext, toRow, type Case, type Evidence } from './case.ts';
import { judgeSessions } from './judge-sessions.ts';
import { FINDING_CODES, type Finding, type Receives, type Verdict } from './port.ts';
import { channelWords, duration, listWords, moment, plural } from './words.ts';

export interface Judgement {
  readonly verdict: Verdict;
  readonly findings: readonly Finding[];
}

/** Why this user does or does not receive: from facts alone, so that every verdict has its test. */
export function judge(evidence: Evidence): Judgement {
  const joined = joinRows(evidence.members.map(({ row }) => toRow(row.entries)));
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
  const verdict = worst ?? { code: 'offline' as const, text: 'nothing is known' };
  return { verdict: { ...verdict, receives }, findings };
}

/** What is wrong where the user is not connected comes after whether the user receives. */
function rankOf({ code, member }: Finding, { members }: Case): number {
  const rank = FINDING_CODES.indexOf(code);
  const connected = members.filter(({ sessions }) => sessions.length > 0);
  const elsewhere = connected.length > 0 && !connected.some((facts) => facts.member === member);
  const receives = FINDING_CODES.indexOf('receives');
  return member !== undefined && elsewhere && rank < receives ? receives + 0.5 : rank;
}

function receivesOf({ subscribed, banned, members }: Case, findings: readonly Finding[]): Receives {
  if (banned || !subscribed) return 'no';
  if (findings.some(({ code }) => code === 'nobody-may-send')) return 'no';
  const all = members.flatMap((facts) => facts.sessions.map((session) => hears(facts, session)));
  if (all.length === 0) return 'offline';
  if (all.every(Boolean)) return 'yes';
  return all.some(Boolean) ? 'partly' : 'no';
}

function judgeBans({ uid, where, members, history, nowMs }: Case, bans: Row): Finding[] {
  if (!isLive(bans)) return [];
  const [entry] = liveEntries(bans);
  const origin = originOf(entry!, { history, members });
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
  const { subscribed, banned, uid, where, joined, history, members } = asked;
  if (subscribed || banned) return [];
  const removals = joined.filter(({ tag }) => tag === REMOVAL);
  const last = removals.toSorted((a, b) => b.hlc - a.hlc)[0];
  if (last) {
    const origin = originOf(last, { history, members });
    return [
      { code: 'unsubscribed', text: `${uid} is not subscribed to ${where}: removed ${origin}` },
    ];
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

function judgeMembers({ members, silent }: Case): Finding[] {
  const found: Finding[] = silent.map(({ member, reason }) => ({
    code: 'silent',
    member,
    text: `${member} did not answer (${reason}): what is said here does not speak for it`,
  }));
  for (const { member, store, mayWrite, peers } of members) {
    if (store.state === 'failing') {
      found.push({ code: 'disk-failing', member, text: `${member} cannot write: ${store.error}` });
    }
    if (!mayWrite) {
      const text = `${member} is catching up with the cluster and takes no clients`;
      found.push({ code: 'catching-up', member, text });
    }
    const down = peers.filter(({ live }) => !live).map((peer) => peer.member);
    if (down.length > 0) {
      const text = `${member} does not hear ${listWords(down)}: messages of theirs come later`;
      found.push({ code: 'link-down', member, text });
    }
    const behind = peers.filter((peer) => peer.live && (peer.lagging || peer.behind > 0));
    for (const peer of behind) {
      const text = `${member} is ${plural(peer.behind, 'write')} behind ${peer.member}`;
      found.push({ code: 'lagging', member, text });
    }
  }
  return found;
}

/** Who may not send decides what there is to receive. */
function judgeSenders({ uid, where, members, subscribed, banned }: Case): Finding[] {
  const live = new Set(
    members.flatMap(({ denials }) =>
      denials.filter(({ entries }) => isLive(toRow(entries))).map(({ reason }) => reason),
    ),
  );
  const found: Finding[] = [];
  const closed = ['channel disband', 'channel ban', 'channel send_ban'].find((flag) =>
    live.has(flag),
  );
  if (closed && subscribed && !banned) {
    const what = closed === 'channel disband' ? 'is disbanded' : 'is closed for messages';
    const text = `${where} ${what} (${closed}): nobody may send, so ${uid} gets nothing`;
    found.push({ code: 'nobody-may-send', text });
  }
  for (const reason of ['mute', 'blacklist']) {
    if (!live.has(reason)) continue;
    const text = `${uid} may receive but not send in ${where} (${reason})`;
    found.push({ code: 'may-not-send', text });
  }
  return found;
}

function joinRows(rows: readonly Row[]): Row {
  return rows.reduce((joined, row) => mergeRows('observed', joined, row), []);
}

function banOf({ denials }: MemberFacts): readonly EntryFacts[] {
  return denials.find(({ reason }) => reason === 'ban')?.entries ?? [];
}
