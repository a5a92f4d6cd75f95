import type { LogLine, MemberFacts, RowEntry, SessionFacts } from '../diagnosis-messages.ts';
import { formatTable, formatTime, printable } from './output.ts';

/** What fits on the terminal of someone who was woken up. */
const WIDTH = 100;
const DEVICES: readonly string[] = ['app', 'web', 'desktop'];

/** Everything of one member, layer by layer. */
export function formatMember(facts: MemberFacts, nowMs: number): string[] {
  const { member, row, entries, reverse, denials, index, sessions, last } = facts;
  const live = entries.filter((entry) => entry.live);
  const shown = live.length > 0 ? live : entries;
  const list = row === 'live' && !reverse ? ", MISSING from the user's own list" : '';
  const lines = [
    `${member}${facts.mayWrite ? '' : '  CATCHING UP'}${facts.store === 'ok' ? '' : '  DISK FAILING'}`,
    item('row', `${row === 'live' ? 'subscribed' : row}${list}${shown.map(entryWords).join('')}`),
    ...denials.map(({ reason, live: on, entries: of }) =>
      item(on ? 'DENIED' : 'allowed', `${reason}${of.slice(0, 2).map(entryWords).join('')}`),
    ),
    ...(index === 'offline' ? [] : [item('index', index)]),
    ...sessions.map((session) => item('session', sessionWords(session, nowMs, row === 'live'))),
    ...(sessions.length === 0 ? [item('session', 'none')] : []),
    item('message', last ? `${messageWords(last, nowMs)}${handed(sessions)}` : 'none'),
    ...peerLines(facts),
  ];
  return lines.map(fit);
}

export function item(name: string, text: string): string {
  return `  ${name.padEnd(8)} ${text}`;
}

/** ` · 3f2a…:3:17 at 2026-11-23 03:04:05, saw 12 writes of 2 runs` */
export function entryWords(entry: RowEntry): string {
  const { dot, atMs, removal, live, contextActors, contextWrites } = entry;
  const seen = contextWrites > 0 ? `, saw ${contextWrites} writes of ${contextActors} runs` : '';
  const kind = removal ? 'removal ' : live ? '' : 'overruled ';
  return ` · ${kind}${shortDot(dot)} ${formatTime(atMs).slice(0, 19)}${seen}`;
}

/** The actor's first four digits tell the runs of a cluster apart; --json has them all. */
function shortDot(dots: string): string {
  return dots
    .split(',')
    .map((dot) => dot.replace(/^([0-9a-f]{4})[0-9a-f]{12}:/, '$1…:'))
    .join(',');
}

export function sessionWords(session: SessionFacts, nowMs: number, wanted = true): string {
  const { id, deviceFlag, protocol, remoteAddress, connectedAtMs } = session;
  const outside = wanted ? 'NOT IN TOPIC' : 'not in topic';
  const topic = { yes: 'in topic', no: outside }[session.inTopic] ?? 'topic unknown';
  const parts = [
    `${id} ${DEVICES[deviceFlag] ?? deviceFlag} ${protocol}`,
    remoteAddress,
    `since ${ago(nowMs - connectedAtMs)}`,
    topic,
    ...(session.topics >= 0 ? [`${session.topics} topics`] : []),
    ...(session.queueBytes >= 0 ? [`${session.queueBytes} B queued`] : []),
  ];
  return parts.join(' · ');
}

export function messageWords(
  { messageSeq, sender, atMs }: NonNullable<MemberFacts['last']>,
  nowMs: number,
): string {
  return `seq ${messageSeq} from ${sender}, on disk ${ago(nowMs - atMs)} ago`;
}

/** What is on disk was handed to the sockets that are in the topic, and to no others. */
export function handed(sessions: readonly SessionFacts[]): string {
  if (sessions.length === 0) return '';
  const inside = sessions.filter(({ inTopic }) => inTopic !== 'no').length;
  if (inside === sessions.length) return ', handed to its sockets';
  return inside === 0 ? ', NOT handed to any socket' : `, handed to ${inside} of its sockets`;
}

function peerLines({ peers, interest }: MemberFacts): string[] {
  const wants = new Map(interest.map((one) => [one.member, one.channel]));
  return peers.map((peer) => {
    const state = peer.live ? (peer.lagging ? 'LAGGING' : 'heard') : `NOT HEARD ${peer.lastError}`;
    const parts = [
      `${peer.member} ${state}`,
      ...(peer.behind > 0 ? [`${peer.behind} writes behind it`] : []),
      wants.get(peer.member) ? 'wants the channel' : 'has nobody in the channel',
      ...(peer.unverifiedMs >= 0 ? [`proved equal ${ago(peer.unverifiedMs)} ago`] : []),
      ...(peer.sweepDueMs >= 0 ? [`sweep in ${ago(peer.sweepDueMs)}`] : []),
    ];
    return item('peer', parts.join(' · '));
  });
}

/** `narrow`: without user and channel, which the caller knows. */
export function formatLog(lines: readonly LogLine[], form: 'narrow' | 'wide'): string {
  const wide = form === 'wide';
  const head = ['time (UTC)', 'node', 'what', ...(wide ? ['user', 'type', 'channel'] : [])];
  const rows = lines.map((line) => [
    formatTime(line.atMs).slice(0, 19),
    line.member,
    line.action,
    ...(wide ? [line.uid, line.channelType || '', line.channelId] : []),
    line.cause,
    line.result,
    shortDot(line.dot),
    line.detail,
  ]);
  return formatTable([...head, 'cause', 'result', 'dot', 'detail'], rows);
}

export function ago(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3_600)} h`
    : `${Math.round(seconds / 86_400)} days`;
}

export function fit(line: string): string {
  const plain = printable(line);
  return plain.length <= WIDTH ? plain : `${plain.slice(0, WIDTH - 1)}…`;
}

export function wrap(text: string, first: string, rest = first): string[] {
  const lines: string[] = [];
  let line = first;
  let lead = true;
  for (const word of printable(text).split(' ')) {
    if (!lead && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      [line, lead] = [rest, true];
    }
    line += lead ? word : ` ${word}`;
    lead = false;
  }
  return [...lines, line];
}
