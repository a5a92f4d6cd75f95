import { hash32 } from '../core/placement.ts';

/** Below this looking through an array is as fast as a Set, which takes 200 bytes more. */
const FEW_MAX = 8;

/**
 * A set that is small for nearly everyone who has one: an array that is replaced at each change, so that
 * it has no room to spare, and a Set from the ninth value on.
 */
export type FewOrMany<Value> = readonly Value[] | Set<Value>;

/** `values` with `value`, which it does not have yet. `values` must not be used any more. */
export function withValue<Value>(values: FewOrMany<Value>, value: Value): FewOrMany<Value> {
  if (!(values instanceof Set)) {
    // Concat, because an array that grows by `push` takes room for seventeen.
    if (values.length < FEW_MAX) return values.concat([value]);
    return new Set(values).add(value);
  }
  return values.add(value);
}

/** `values` without `value`. `values` must not be used any more. */
export function withoutValue<Value>(values: FewOrMany<Value>, value: Value): FewOrMany<Value> {
  if (!(values instanceof Set)) return values.filter((one) => one !== value);
  values.delete(value);
  // Half of what made it a Set, so that one value that comes and goes does not turn it over each time.
  return values.size > FEW_MAX / 2 ? values : Array.from(values);
}

export function hasValue<Value>(values: FewOrMany<Value>, value: Value): boolean {
  return values instanceof Set ? values.has(value) : values.includes(value);
}

export function sizeOf(values: FewOrMany<unknown>): number {
  return values instanceof Set ? values.size : values.length;
}

/** Of the hashes of the values, modulo 2^32: a set that differs has another one, as good as always. */
export function sumOf(values: Iterable<string>): number {
  let sum = 0;
  for (const value of values) sum = (sum + hash32(value)) | 0;
  return sum;
}
