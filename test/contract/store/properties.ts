import type { TestFn } from 'ava';
import * as fc from 'fast-check';
import { compareKeys } from '../../../src/storage/key-order.ts';
import type { Mutation, ScanRange } from '../../../src/storage/port.ts';
import { bytes, durable, texts, type Bench } from './contract.ts';

const key = fc.string({
  unit: fc.constantFrom('a', 'b', 'é', '\ue000', '\uffff', '\u{10000}'),
  maxLength: 3,
});
const mutation = fc.record(
  { key, value: fc.string({ maxLength: 3 }).map(bytes) },
  { requiredKeys: ['key'] },
) as fc.Arbitrary<Mutation>;
const range = fc.record({
  gte: key,
  lt: key,
  reverse: fc.boolean(),
  limit: fc.option(fc.nat(8), { nil: undefined }),
});
type Step =
  | { readonly do: 'stage'; readonly mutations: readonly Mutation[] }
  | { readonly do: 'scan'; readonly range: ScanRange }
  | { readonly do: 'wait' | 'durable' | 'fail' | 'heal' };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('stage'), mutations: fc.array(mutation, { maxLength: 5 }) }),
  fc.record({ do: fc.constant('scan'), range }),
  fc.record({ do: fc.constantFrom('wait', 'durable', 'fail', 'heal') }),
) as fc.Arbitrary<Step>;

/** A store behaves as a sorted map does, whatever is staged, flushed or failing. */
export function storeProperties(test: TestFn, name: string, make: () => Promise<Bench>): void {
  test(`${name}: answers as a plain sorted map, staged, flushed and reopened`, async (t) => {
    const bench = await make();
    let store = await bench.location.open();
    const twin = new Map<string, string>();
    const sorted = (): string[] =>
      [...twin]
        .sort((a, b) => compareKeys(a[0], b[0]))
        .map(([key, text]) => `${encodeURI(key)}=${text}`);
    const inRange = ({ gte, lt, reverse, limit }: ScanRange): string[] => {
      const keys = [...twin.keys()].filter(
        (k) => compareKeys(k, gte) >= 0 && compareKeys(k, lt) < 0,
      );
      keys.sort(compareKeys);
      if (reverse) keys.reverse();
      return keys.slice(0, limit).map((key) => `${encodeURI(key)}=${twin.get(key)}`);
    };
    const run = async (step: Step): Promise<void> => {
      if (step.do === 'stage') {
        store.stage(step.mutations);
        for (const { key, value } of step.mutations) {
          if (value) twin.set(key, new TextDecoder().decode(value));
          else twin.delete(key);
        }
      } else if (step.do === 'scan') {
        t.deepEqual(await texts(store, step.range), inRange(step.range));
      } else if (step.do === 'fail') bench.failDisk();
      else bench.healDisk();
      if (step.do === 'wait') await new Promise((resolve) => setTimeout(resolve, 1));
      if (step.do === 'durable') await durable(store);
    };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        for (const step of steps) await run(step);
        t.deepEqual(await texts(store), sorted());
        for (const key of ['', 'a', 'ab', '\ue000']) {
          const value = store.get(key);
          t.is(value && new TextDecoder().decode(value), twin.get(key));
        }
        bench.healDisk();
      }),
      { numRuns: 60 },
    );
    await durable(store);
    await store.close();
    store = await bench.location.open();
    t.deepEqual(await texts(store), sorted());
    await store.close();
    await bench.remove();
  });
}
