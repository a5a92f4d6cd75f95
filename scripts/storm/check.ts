import type { Pair, Send } from './sends.ts';

/** One conversation as one of the two has it on one node. */
export interface Seen {
  readonly unread: number;
  /** Client number and text of each message, in any order. */
  readonly messages: readonly { readonly number: string; readonly text: string }[];
}

/** What one node has of one pair; undefined: no conversation. */
export interface NodeView {
  readonly node: string;
  readonly ofA: Seen | undefined;
  readonly ofB: Seen | undefined;
}

export interface Findings {
  /** Acknowledged, and not there. */
  readonly lost: readonly string[];
  readonly twice: readonly string[];
  /** A message without the conversation of one of the two, or with another count, or told differently. */
  readonly torn: readonly string[];
  /** The nodes differ. */
  readonly unequal: readonly string[];
}

/** Every acknowledged message once, everything or nothing of each send, and the same on every node. */
export function checkPair(pair: Pair, views: readonly NodeView[]): Findings {
  const [lost, twice, torn]: [string[], string[], string[]] = [[], [], []];
  for (const { node, ofA, ofB } of views) {
    for (const [uid, seen] of [
      [pair.a, ofA],
      [pair.b, ofB],
    ] as const) {
      const where = `${uid} at ${node}`;
      for (const send of pair.sends) {
        const copies = copiesOf(send, seen);
        if (copies > 1) twice.push(`${send.number} for ${where}`);
        if (copies === 0 && send.fate === 'acknowledged') lost.push(`${send.number} for ${where}`);
      }
      const known = pair.sends.reduce((sum, send) => sum + copiesOf(send, seen), 0);
      if (seen && known !== seen.messages.length) torn.push(`a message of nobody for ${where}`);
      const others = pair.sends.filter((send) => send.to === uid && copiesOf(send, seen) > 0);
      if (seen && seen.unread !== others.length) {
        torn.push(`unread ${seen.unread} and not ${others.length} for ${where}`);
      }
    }
    if (namesOf(ofA) !== namesOf(ofB)) torn.push(`${pair.a} and ${pair.b} differ at ${node}`);
  }
  const shown = new Set(views.map(({ ofA, ofB }) => `${namesOf(ofA)} ${namesOf(ofB)}`));
  const unequal = shown.size > 1 ? [`${pair.a} and ${pair.b}`] : [];
  return { lost, twice, torn, unequal };
}

function copiesOf(send: Send, seen: Seen | undefined): number {
  const same = seen?.messages.filter(({ number, text }) => {
    return number === send.number && text === send.text;
  });
  return same?.length ?? 0;
}

function namesOf(seen: Seen | undefined): string {
  if (!seen) return 'nothing';
  return seen.messages
    .map(({ number }) => number)
    .toSorted()
    .join();
}
