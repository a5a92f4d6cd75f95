import { contextCovers } from '../../core/context.ts';
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

/** Entries that not even their holder's vector knows of: no member ever wrote them. */
export function strayEntries({ row, seen }: MemberFacts, members: readonly MemberFacts[]): Row {
  const known = [toContext(seen), ...members.map((other) => toContext(other.seen))];
  return toRow(row.entries).filter(
    ({ actor, counter }) => !known.some((vector) => contextCovers(vector, actor, counter)),
  );
}

/** What the socket says, where it can be asked; else what the index meant to do. */
export function hears({ index }: MemberFacts, { joined }: SessionFacts): boolean {
  return joined ?? index === 'joined';
}

/** `by http on node-1 at …`, as far as logs and runs tell. */
export function originOf(
  { actor, counter, hlc }: Entry,
  { history, members, silent }: Pick<Evidence, 'history' | 'members' | 'silent'>,
): string {
  const own = history.find(({ dot, action, cause }) => {
    const [by, , number] = dot.split(':');
    const said = action !== 'repair' && cause !== 'replicated';
    return said && by === actor && Number(number) === counter;
  });
  const member = own?.member ?? members.find((facts) => facts.actor === actor)?.member;
  const by = own ? `by ${own.cause} ` : '';
  const elsewhere = `${silent.length > 0 ? 'a node that does not answer, or ' : ''}an earlier run of a node`;
  return `${by}on ${member ?? elsewhere} at ${moment(hlcToMs(hlc))}`;
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
