import { hlcToMs } from '../../core/hybrid-clock.ts';
import { isLive, liveEntries } from '../../core/row.ts';
import { originOf, toRow, type Case } from './case.ts';
import type { Finding } from './port.ts';
import { duration, listWords, plural } from './words.ts';

/** The members themselves: who did not answer, cannot write, has not caught up, does not hear whom. */
export function judgeMembers({ members, silent }: Case): Finding[] {
  const quiet = new Set<string>(silent.map(({ member }) => member));
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
    // Of one that does not answer it is no news.
    const down = peers.filter((peer) => !peer.live && !quiet.has(peer.member));
    if (down.length > 0) {
      const names = listWords(down.map((peer) => peer.member));
      const text = `${member} does not hear ${names}: what is published there comes later`;
      found.push({ code: 'link-down', member, text });
    }
    const behind = peers.filter((peer) => peer.live && (peer.lagging || peer.behind > 0));
    if (behind.length > 0) {
      const most = Math.max(...behind.map((peer) => peer.behind));
      const names = listWords(behind.map((peer) => peer.member));
      const text = `${member} is ${plural(most, 'write')} behind ${names}`;
      found.push({ code: 'lagging', member, text });
    }
  }
  return found;
}

/** Who may not send decides what there is to receive. */
export function judgeSenders(asked: Case): Finding[] {
  const { uid, where, members, subscribed, banned } = asked;
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
    const text = `${where} ${what} (${closed}${sinceWords(asked, closed)}): nobody may send, so ${uid} gets nothing`;
    found.push({ code: 'nobody-may-send', text });
  }
  for (const reason of ['mute', 'blacklist']) {
    if (!live.has(reason)) continue;
    const text = `${uid} may receive but not send in ${where} (${reason})`;
    found.push({ code: 'may-not-send', text });
  }
  return found;
}

/** `, for 3 min, by http on node-1 at …` */
function sinceWords(asked: Case, reason: string): string {
  const rows = asked.members.flatMap(({ denials }) =>
    denials.filter((denial) => denial.reason === reason).map(({ entries }) => toRow(entries)),
  );
  const [entry] = rows.flatMap((row) => liveEntries(row));
  if (!entry) return '';
  return `, for ${duration(asked.nowMs - hlcToMs(entry.hlc))}, ${originOf(entry, asked)}`;
}
