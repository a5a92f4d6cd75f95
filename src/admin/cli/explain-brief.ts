import type { Explanation, Finding, LogLine, MemberFacts } from '../diagnosis-messages.ts';
import {
  ago,
  entryWords,
  fit,
  formatLog,
  formatMember,
  handed,
  item,
  messageWords,
  sessionWords,
  wrap,
} from './explain-view.ts';
import { formatTime } from './output.ts';

const MARKS: Readonly<Record<string, string>> = {
  yes: 'RECEIVES',
  partly: 'RECEIVES IN PART',
  no: 'DOES NOT RECEIVE',
  offline: 'OFFLINE',
  unknown: 'NOBODY CAN TELL',
};
/** Verdicts that say how it should be; any other says that something is damaged or late. */
const SOUND: readonly string[] = ['receives', 'offline', 'slow'];
const FINDINGS_MAX = 6;
const SESSIONS_MAX = 4;
const HISTORY_LINES = 6;

/**
 * What fits on one screen for a cluster of three and more: the verdict and what to do, what else was found,
 * the nodes on which the user is or that are not well, all others together, then the history. `full`: every
 * node with all of its layers and peers.
 */
export function formatExplanation(explanation: Explanation, form: 'brief' | 'full'): string {
  const { members, silent, history, atMs } = explanation;
  const nodes =
    form === 'full'
      ? members.map((facts) => formatMember(facts, atMs))
      : [alike(members).flatMap((group) => formatAlike(group, atMs))];
  // In short, the findings say it.
  const quiet =
    form === 'full'
      ? silent.map(({ member, reason }) => fit(`${member}  did not answer: ${reason}`))
      : [];
  return [formatVerdict(explanation), ...nodes, quiet, formatHistory(history)]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function formatVerdict(explanation: Explanation): string[] {
  const { verdict, next, findings, receives, member, atMs } = explanation;
  const damaged = receives === 'yes' && !SOUND.includes(verdict?.code ?? '');
  const mark = `${MARKS[receives] ?? receives}${damaged ? ', BUT SOMETHING IS WRONG' : ''}`;
  const others = findings.filter(({ text }) => text !== verdict?.text);
  const more = others.length - FINDINGS_MAX;
  return [
    `${mark}  (${formatTime(atMs).slice(0, 19)} UTC, by ${member})`,
    ...wrap(verdict?.text ?? '', '  '),
    ...wrap(`do: ${next}`, '  ', '      '),
    ...others.slice(0, FINDINGS_MAX).flatMap(formatFinding),
    ...(more > 0 ? [`  … ${more} findings more: --full --json`] : []),
  ];
}

function formatFinding({ text }: Finding): string[] {
  return wrap(`- ${text}`, '  ', '    ');
}

/** Members without a session of the user that say the same are one group; where the user is comes first. */
function alike(members: readonly MemberFacts[]): readonly (readonly MemberFacts[])[] {
  const groups = new Map<string, MemberFacts[]>();
  for (const facts of members) {
    const { member, sessions, row, reverse, entries, denials, store, mayWrite } = facts;
    const alone = sessions.length > 0 || !facts.peers.every(isWell);
    const state = alone
      ? member
      : JSON.stringify([row, reverse, entries, denials, store, mayWrite]);
    groups.set(state, [...(groups.get(state) ?? []), facts]);
  }
  const rank = ([facts]: readonly MemberFacts[]): number => (facts!.sessions.length > 0 ? 0 : 1);
  return [...groups.values()].toSorted((a, b) => rank(a) - rank(b));
}

function isWell({ live, lagging, behind }: MemberFacts['peers'][number]): boolean {
  return live && !lagging && behind === 0;
}

function formatAlike(group: readonly MemberFacts[], nowMs: number): string[] {
  const [first] = group;
  const { row, entries, reverse, denials, index, sessions, mayWrite, store, storeError } = first!;
  const live = entries.filter((entry) => entry.live);
  const shown = (live.length > 0 ? live : entries).slice(-2);
  const list = row === 'live' && !reverse ? ", MISSING from the user's own list" : '';
  const indexed =
    index === 'offline' ? '' : ` · ${index === 'absent' ? 'not in the index' : `index ${index}`}`;
  const more = sessions.length - SESSIONS_MAX;
  const name = group.map(({ member }) => member).join(', ');
  const ill = `${mayWrite ? '' : '  CATCHING UP'}${store === 'ok' ? '' : `  DISK FAILING: ${storeError}`}`;
  return [
    `${name}${sessions.length === 0 ? '  (no session)' : ''}${ill}`,
    item(
      'row',
      `${row === 'live' ? 'subscribed' : row}${list}${indexed}${shown.map(entryWords).join('')}`,
    ),
    ...denials
      .filter((denial) => denial.live)
      .map(({ reason, entries: of }) =>
        item('DENIED', `${reason}${of.slice(0, 1).map(entryWords).join('')}`),
      ),
    ...sessions
      .slice(0, SESSIONS_MAX)
      .map((session) => item('session', sessionWords(session, nowMs, row === 'live'))),
    ...(more > 0 ? [item('', `… ${more} sessions more: --full`)] : []),
    item('message', lastOf(group, nowMs)),
    ...peersOf(group),
  ].map(fit);
}

/** The newest of the group; which of them has less is for `--full`. */
function lastOf(group: readonly MemberFacts[], nowMs: number): string {
  const known = group.flatMap(({ last }) => (last ? [last] : []));
  const newest = known.toSorted((a, b) => b.messageSeq - a.messageSeq)[0];
  return newest ? `${messageWords(newest, nowMs)}${handed(group[0]!.sessions)}` : 'none';
}

function peersOf(group: readonly MemberFacts[]): string[] {
  const peers = group.flatMap((facts) => facts.peers);
  const ill = peers
    .filter((peer) => !isWell(peer))
    .map((peer) => {
      const { member, live, behind, lastError } = peer;
      return item(
        'peer',
        live ? `${member} · ${behind} writes behind it` : `${member} NOT HEARD ${lastError}`,
      );
    });
  const well = peers.filter(isWell);
  const ages = well.map(({ unverifiedMs }) => unverifiedMs).filter((ms) => ms >= 0);
  const due = well.map(({ sweepDueMs }) => sweepDueMs).filter((ms) => ms >= 0);
  const names = [...new Set(well.map(({ member }) => member))].sort();
  if (names.length === 0) return ill;
  const parts = [
    names.length > 4 ? `${names.length} heard` : `${names.join(', ')} heard`,
    ...(ages.length > 0 ? [`channel proved equal ${ago(Math.max(...ages))} ago`] : []),
    ...(due.length > 0 ? [`next sweep in ${ago(Math.min(...due))}`] : []),
  ];
  return [...ill, item('peers', parts.join(' · '))];
}

/** One line a write, by the node that made it, with those to which it came. */
function formatHistory(history: readonly LogLine[]): string[] {
  if (history.length === 0) return ['history: no log knows of this user in this channel'];
  const writes = new Map<string, LogLine[]>();
  for (const line of history) {
    const write = line.action === 'repair' || line.dot === '' ? `${writes.size}` : line.dot;
    writes.set(write, [...(writes.get(write) ?? []), line]);
  }
  const told = [...writes.values()].map((lines) => {
    const own = lines.find(({ cause }) => cause !== 'replicated') ?? lines[0]!;
    const others = lines.filter((line) => line !== own).map(({ member }) => member);
    const also = others.length > 0 ? `came to ${others.sort().join(', ')}` : '';
    return { ...own, detail: [own.detail, also].filter((text) => text !== '').join('; ') };
  });
  const shown = told.slice(0, HISTORY_LINES);
  // Repairs must not hide who subscribed or removed the user.
  const decision = told.slice(HISTORY_LINES).find(({ action }) => action !== 'repair');
  if (decision && shown.every(({ action }) => action === 'repair'))
    shown[shown.length - 1] = decision;
  const more = told.length - shown.length;
  return [
    'history, newest first',
    ...formatLog(shown, 'narrow')
      .split('\n')
      .map((line) => fit(`  ${line}`)),
    ...(more > 0 ? [`  … ${more} more: holdfast log`] : []),
  ];
}
