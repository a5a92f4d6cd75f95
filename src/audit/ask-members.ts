import type { PeerCalls } from '../cluster/calls/port.ts';
import type { MemberId } from '../core/ids.ts';
import type { SilentMember } from './operations/port.ts';

export interface AskOptions {
  readonly self: MemberId;
  /** Every member of the roster, this one too. */
  readonly members: () => readonly MemberId[];
  /** Absent in a node without links: only itself is asked. */
  readonly calls?: PeerCalls | undefined;
}

export interface Question<Answer> {
  readonly method: string;
  readonly body: unknown;
  readonly timeoutMs: number;
  /** What this node itself answers. */
  readonly own: () => Answer | Promise<Answer>;
  /** Takes a peer's answer apart; throws where it is none. */
  readonly parse: (body: unknown) => Answer;
}

export interface Answers<Answer> {
  readonly answers: readonly { readonly member: MemberId; readonly answer: Answer }[];
  readonly silent: readonly SilentMember[];
}

/**
 * Asks every member at once. Who does not answer in time, or with something else, is said to be silent,
 * and why: what is concluded without it does not speak for it.
 */
export async function askMembers<Answer>(
  { self, members, calls }: AskOptions,
  { method, body, timeoutMs, own, parse }: Question<Answer>,
): Promise<Answers<Answer>> {
  const silent: SilentMember[] = [];
  const asked = [...new Set([self, ...members()])].map(async (member) => {
    try {
      if (member === self) return [{ member, answer: await own() }];
      if (!calls) throw new Error('there are no links between the members');
      return [{ member, answer: parse(await calls.call(member, { method, body, timeoutMs })) }];
    } catch (error) {
      if (member === self) throw error;
      silent.push({ member, reason: error instanceof Error ? error.message : String(error) });
      return [];
    }
  });
  return { answers: (await Promise.all(asked)).flat(), silent };
}
