import { z } from 'zod';
import { parseChannelKey, parseUid } from '../../core/ids.ts';
import { askMembers, type AskOptions } from '../ask-members.ts';
import type { MemberLogEntry } from '../operations/port.ts';
import { collectFacts, type OwnLayers } from './collect.ts';
import { parseFacts, type MemberFacts } from './facts.ts';
import { judge } from './judge.ts';
import type { Explainer, Explanation, Pair } from './port.ts';

const METHOD = 'explain';
const TIMEOUT_MS = 3_000;
const HISTORY_LINES = 40;

const pairShape = z.object({ channel: z.string(), uid: z.string() });

/** Asks every member for its facts and says why the user does or does not receive. */
export class ClusterExplainer implements Explainer {
  readonly #ask: AskOptions;
  readonly #own: OwnLayers;

  constructor(ask: AskOptions, own: OwnLayers) {
    this.#ask = ask;
    this.#own = own;
    ask.calls?.answer(METHOD, (_from, body) => collectFacts(own, parsePair(body)));
  }

  async explain(pair: Pair): Promise<Explanation> {
    const { channel, uid } = pair;
    const { answers, silent } = await askMembers<MemberFacts>(this.#ask, {
      ...{ method: METHOD, body: { channel, uid }, timeoutMs: TIMEOUT_MS },
      own: () => collectFacts(this.#own, pair),
      parse: parseFacts,
    });
    const members = answers
      .map(({ answer, member }) => ({ ...answer, member }))
      .toSorted((a, b) => (a.member < b.member ? -1 : 1));
    const history = mergeHistory(answers);
    const nowMs = this.#own.clock.wallMs();
    const judged = judge({ channel, uid, nowMs, members, silent, history });
    return { channel, uid, atMs: nowMs, by: this.#ask.self, ...judged, members, silent, history };
  }
}

/** A pair that a peer asks about; throws with what is wrong. */
export function parsePair(body: unknown): Pair {
  const { channel, uid } = pairShape.parse(body);
  const at = channel.indexOf('/');
  const key = parseChannelKey(channel.slice(at + 1), Number(channel.slice(0, at)));
  const user = parseUid(uid);
  if (!key.ok) throw new TypeError(key.error);
  if (!user.ok) throw new TypeError(user.error);
  return { channel: key.value, uid: user.value };
}

function mergeHistory(
  answers: readonly { readonly member: MemberLogEntry['member']; readonly answer: MemberFacts }[],
): readonly MemberLogEntry[] {
  return answers
    .flatMap(({ member, answer }) => answer.history.map((line) => ({ ...line, member })))
    .toSorted((a, b) => b.atMs - a.atMs)
    .slice(0, HISTORY_LINES);
}
