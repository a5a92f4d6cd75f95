import * as fc from 'fast-check';
import { contextOfDots } from '../../src/core/context.ts';
import type { ActorId } from '../../src/core/ids.ts';
import { REMOVAL, type Entry, type Row } from '../../src/core/row.ts';

/** Few actors and small counters, so that dots meet. */
export const ACTORS = ['a', 'b', 'c'].map((letter) => letter.repeat(16) as ActorId);
export const actor = fc.constantFrom(...ACTORS);
export const counter = fc.integer({ min: 1, max: 8 });
export const dot = fc.record({ actor, shard: fc.constant(0), counter });
export const context = fc.array(dot, { maxLength: 6 }).map(contextOfDots);

/**
 * One write of each dot: what is under a dot is drawn from the dot alone, because no dot ever names two
 * different writes.
 */
const writes = fc.infiniteStream(
  fc.record({
    hlc: fc.nat(5),
    tag: fc.constantFrom(0, 1, 7, REMOVAL),
    context,
    value: fc.uint8Array({ maxLength: 2 }),
  }),
);

/** Some rows, made of the same writes. */
export function rowsOf(count: number): fc.Arbitrary<Row[]> {
  const picks = fc.array(fc.uniqueArray(dot, { maxLength: 6, selector: nameOf }), {
    minLength: count,
    maxLength: count,
  });
  return fc.tuple(writes, picks).map(([stream, picks]) => {
    const known = new Map<string, Entry>();
    const entry = ({ actor, counter }: { actor: ActorId; counter: number }): Entry => {
      const name = nameOf({ actor, counter });
      if (!known.has(name)) known.set(name, { actor, counter, ...stream.next().value! });
      return known.get(name)!;
    };
    return picks.map((dots) => dots.map(entry).sort(byDot));
  });
}

export function nameOf({ actor, counter }: { actor: string; counter: number }): string {
  return `${actor}:${counter}`;
}

function byDot(a: Entry, b: Entry): number {
  return a.actor === b.actor ? a.counter - b.counter : a.actor < b.actor ? -1 : 1;
}
