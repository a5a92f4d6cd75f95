import { hlcToMs } from '../../core/hybrid-clock.ts';
import type { ActorId, ChannelKey } from '../../core/ids.ts';
import type { Entry, Row } from '../../core/row.ts';
import type { MemberLogEntry, SilentMember } from '../operations/port.ts';
import type { EntryFacts, MemberFacts, SessionFacts } from './facts.ts';
import { moment } from './words.ts';

export interface Evidence {
  readonly channel: ChannelKey;
  readonly uid: string;
  readonly nowMs: number;
  readonly members: readonly MemberFacts[];
  readonly silent: readonly SilentMember[];
  /** Newest first. */
  readonly history: readonly MemberLogEntry[];
}

/** What every judge below starts from. */
export interface Case extends Evidence {
  /** `user-7` and `group g1`. */
  readonly where: string;
  /** What all members that answered know together. */
  readonly joined: Row;
  readonly subscribed: boolean;
  readonly banned: boolean;
}

/** What the socket says, where it can be asked; else what the index meant to do. */
export function hears({ index }: MemberFacts, { joined }: SessionFacts): boolean {
  return joined ?? index === 'joined';
}

/** `by http on node-1 at …`, as far as logs and runs tell. */
export function originOf(
  { actor, counter, hlc }: Entry,
  { history, members }: Pick<Evidence, 'history' | 'members'>,
): string {
  const own = history.find(({ dot, cause }) => {
    const [by, , number] = dot.split(':');
    return by === actor && Number(number) === counter && cause !== 'replicated';
  });
  const member = own?.member ?? members.find((facts) => facts.actor === actor)?.member;
  const by = own ? `by ${own.cause} ` : '';
  return `${by}on ${member ?? 'an earlier run of a node'} at ${moment(hlcToMs(hlc))}`;
}

export function toRow(entries: readonly EntryFacts[]): Row {
  return entries.map(({ actor, context, ...rest }) => ({
    ...rest,
    actor: actor as ActorId,
    context: toContext(context),
    value: new Uint8Array(0),
  }));
}

export function toContext(spans: EntryFacts['context']) {
  return spans.map(({ actor, from, to }) => ({ actor: actor as ActorId, from, to }));
}
