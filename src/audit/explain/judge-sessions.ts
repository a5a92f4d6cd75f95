import { hlcToMs } from '../../core/hybrid-clock.ts';
import { isLive, liveEntries } from '../../core/row.ts';
import { hears, originOf, toRow, type Case } from './case.ts';
import type { MemberFacts, SessionFacts } from './facts.ts';
import type { Finding } from './port.ts';
import { bytesWords, duration, listWords, plural } from './words.ts';

/** Unsent bytes from which a session is called slow; it is closed at the gateway's own soft limit. */
const SLOW_BYTES = 256 * 1024;

/** Index, topics and queues of the members on which the user is connected. */
export function judgeSessions(asked: Case): Finding[] {
  const places = asked.members.filter(({ sessions }) => sessions.length > 0);
  const found = places.flatMap((facts) => judgePlace(asked, facts));
  if (!asked.subscribed || asked.banned) return found;
  const hearing = places
    .map((facts) => ({ ...facts, sessions: facts.sessions.filter((one) => hears(facts, one)) }))
    .filter(({ sessions }) => sessions.length > 0);
  if (places.length === 0) found.push(offline(asked));
  else if (hearing.length > 0 && !isClosed(asked)) {
    found.push(
      receives(asked, hearing),
      ...hearing.flatMap((place) => judgeInterest(asked, place)),
    );
  }
  return found;
}

function judgePlace(asked: Case, { member, row, index, sessions }: MemberFacts): Finding[] {
  const { uid, banned } = asked;
  const routed = isLive(toRow(row.entries)) && !row.damaged && !banned;
  const outside = sessions.filter(({ joined }) => joined === false);
  const inside = sessions.filter(({ joined }) => joined === true);
  const found: Finding[] = [];
  const deaf = `${uid} does NOT receive on ${member}:`;
  if (index === 'loading') {
    found.push({ code: 'loading', member, text: `${member} is still reading ${uid}'s channels` });
  } else if (routed && index === 'absent') {
    const text = `${deaf} its row is there, but the routing index lacks it`;
    found.push({ code: 'index-missing', member, text });
  } else if (!routed && index === 'joined' && (!asked.subscribed || banned)) {
    const text = `${member} still routes to ${uid}, whose row says no`;
    found.push({ code: 'index-stale', member, text });
  } else if (index === 'joined' && outside.length > 0) {
    const all = outside.length === sessions.length;
    const which = all && sessions.length === 1 ? 'its session' : sessionWords(outside);
    const text = `${deaf} its row is there, but ${which} ${outside.length > 1 ? 'are' : 'is'} not in the topic`;
    found.push({ code: 'topic-missing', member, text });
  }
  if (index === 'absent' && !routed && !asked.subscribed && inside.length > 0) {
    const text = `${member}: ${sessionWords(inside)} still in the topic, although the row says no`;
    found.push({ code: 'topic-stale', member, text });
  }
  for (const { id, queueBytes = 0 } of sessions) {
    if (queueBytes < SLOW_BYTES) continue;
    const text = `${uid} reads slowly on ${member}: ${bytesWords(queueBytes)} wait in session ${id}`;
    found.push({ code: 'slow', member, text });
  }
  return found;
}

function sessionWords(sessions: readonly SessionFacts[]): string {
  const noun = sessions.length === 1 ? 'session' : 'sessions';
  return `${noun} ${listWords(sessions.map(({ id }) => String(id)))}`;
}

function offline(asked: Case): Finding {
  const { uid, members, silent, where } = asked;
  const asking = silent.length > 0 ? listWords(members.map(({ member }) => member)) : 'any node';
  if (silent.length > 0) {
    const quiet = listWords(silent.map(({ member }) => member));
    const text =
      `nobody can tell: ${uid} is subscribed to ${where} and has no session on ${asking}, and ` +
      `${quiet} did not answer; where it is still connected there, what others publish does not reach it`;
    return { code: 'unknown', text };
  }
  const text =
    `${uid} is offline: subscribed to ${where} ${sinceWords(asked)}, ` +
    `no session on ${asking}; what is published waits for the next connect`;
  return { code: 'offline', text };
}

/** Nobody may send: there is nothing to receive. */
function isClosed({ members }: Case): boolean {
  return members.some(({ denials }) =>
    denials.some(({ reason, entries }) => reason.startsWith('channel ') && isLive(toRow(entries))),
  );
}

/** Messages that are not stored go only where somebody is known to want them. */
function judgeInterest({ members, where, uid }: Case, place: MemberFacts): Finding[] {
  const wrong = members.filter(({ member, peers, interest }) => {
    const live = peers.some((peer) => peer.member === place.member && peer.live);
    const known = interest.find((one) => one.member === place.member);
    return member !== place.member && live && known?.channel === false;
  });
  return wrong.map(({ member }) => ({
    code: 'interest-missing' as const,
    member,
    text:
      `${member} does not know yet that ${place.member} has users in ${where}: what is published on ` +
      `${member} and not stored (no persist) does not reach ${uid}`,
  }));
}

function receives(asked: Case, places: readonly MemberFacts[]): Finding {
  const { uid, where } = asked;
  const at = places.map(
    ({ member, sessions }) => `${plural(sessions.length, 'session')} on ${member}`,
  );
  const text = `${uid} receives ${where}: subscribed ${sinceWords(asked)}; ${listWords(at)}; ${lastWords(asked)}`;
  return { code: 'receives', text };
}

function sinceWords(asked: Case): string {
  const live = liveEntries(asked.joined);
  const oldest = live.toSorted((a, b) => a.hlc - b.hlc)[0]!;
  return `${duration(asked.nowMs - hlcToMs(oldest.hlc))} ago ${originOf(oldest, asked)}`;
}

/** A message is delivered when a node first has it: who has it on disk has handed it to the sockets. */
function lastWords({ members, nowMs }: Case): string {
  const known = members.flatMap(({ last, member }) => (last ? [{ ...last, member }] : []));
  const newest = known.toSorted((a, b) => b.messageSeq - a.messageSeq)[0];
  if (!newest) return 'no message yet';
  const places = members.filter(({ sessions }) => sessions.length > 0);
  const waiting = places.filter(({ last }) => last?.messageSeq !== newest.messageSeq);
  const when = `last message ${duration(nowMs - newest.atMs)} ago`;
  if (waiting.length === 0) return `${when}, delivered`;
  return `${when}, not yet on ${listWords(waiting.map(({ member }) => member))}`;
}
