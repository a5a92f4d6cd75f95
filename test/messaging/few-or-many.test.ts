import test from 'ava';
import fc from 'fast-check';
import {
  sizeOf,
  hasValue,
  withoutValue,
  withValue,
  type FewOrMany,
} from '../../src/messaging/few-or-many.ts';

test('it holds what a Set holds, however values come and go', (t) => {
  const step = fc.record({ add: fc.boolean(), value: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const twin = new Set<number>();
      let values: FewOrMany<number> = [];
      for (const { add, value } of steps) {
        if (add && !twin.has(value)) values = withValue(values, value);
        if (!add) values = withoutValue(values, value);
        if (add) twin.add(value);
        else twin.delete(value);
        t.is(sizeOf(values), twin.size);
      }
      for (let value = 0; value <= 20; value++) t.is(hasValue(values, value), twin.has(value));
      t.deepEqual(new Set(values), twin);
      if (twin.size <= 4) t.true(Array.isArray(values));
    }),
  );
});
