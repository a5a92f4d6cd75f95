import test from 'ava';
import * as fc from 'fast-check';
import {
  contextCovers,
  contextIncludes,
  contextOfDots,
  contextOfRanges,
  uniteContexts,
  type Context,
} from '../../src/core/context.ts';
import { ACTORS, context, dot, nameOf } from './arbitraries.ts';

const COUNTERS = Array.from({ length: 10 }, (_value, i) => i);

function dotsIn(context: Context): Set<string> {
  const dots = ACTORS.flatMap((actor) => COUNTERS.map((counter) => ({ actor, counter })));
  return new Set(dots.filter((d) => contextCovers(context, d.actor, d.counter)).map(nameOf));
}

function isNormal(context: Context): boolean {
  return context.every((span, i) => {
    const last = context[i - 1];
    if (span.from > span.to) return false;
    return (
      !last || last.actor < span.actor || (last.actor === span.actor && last.to + 1 < span.from)
    );
  });
}

test('a context of dots covers those dots and no others', (t) => {
  fc.assert(
    fc.property(fc.array(dot), (dots) => {
      const context = contextOfDots(dots);
      t.true(isNormal(context));
      t.deepEqual([...dotsIn(context)].sort(), [...new Set(dots.map(nameOf))].sort());
      const ranges = dots.map(({ actor, shard, counter }) => ({
        actor,
        shard,
        from: counter,
        to: counter,
      }));
      t.deepEqual(contextOfRanges(ranges), context);
    }),
  );
});

test('a union covers what either covers, and equal sets of dots are equal contexts', (t) => {
  fc.assert(
    fc.property(context, context, context, (a, b, c) => {
      const union = uniteContexts(a, b, c);
      t.true(isNormal(union));
      t.deepEqual(
        [...dotsIn(union)].sort(),
        [...new Set([...dotsIn(a), ...dotsIn(b), ...dotsIn(c)])].sort(),
      );
      t.deepEqual(uniteContexts(c, a, b), union);
      t.deepEqual(uniteContexts(union, union), union);
    }),
  );
});

test('a union leaves its parts as they were', (t) => {
  fc.assert(
    fc.property(context, context, (a, b) => {
      const before = structuredClone([a, b]);
      uniteContexts(a, b);
      t.deepEqual([a, b], before);
    }),
  );
});

test('a context includes another where it covers all of its dots', (t) => {
  fc.assert(
    fc.property(context, context, (outer, inner) => {
      const covered = dotsIn(outer);
      t.is(
        contextIncludes(outer, inner),
        [...dotsIn(inner)].every((name) => covered.has(name)),
      );
      t.true(contextIncludes(uniteContexts(outer, inner), inner));
    }),
  );
});
