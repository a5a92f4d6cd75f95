import { TEXT_LENGTH_MAX, type RequestId } from './frame.ts';

/**
 * Readers of what is in a JSON-RPC frame. They throw a FieldError, which `parseJsonRpc` catches: the happy
 * path allocates nothing.
 */
export class FieldError extends Error {}

export type Fields = Readonly<Record<string, unknown>>;

export function needId(id: RequestId | undefined): RequestId {
  if (id === undefined) throw new FieldError('id: this method needs one');
  return id;
}

/** An integer beyond 2^53 would be answered with another one than was asked. */
export function isRequestId(id: unknown): id is RequestId {
  return typeof id === 'string' ? id.length <= TEXT_LENGTH_MAX : Number.isSafeInteger(id);
}

const LONE_SURROGATE = /\p{Surrogate}/u;

export function text(params: Fields, name: string, fallback?: string): string {
  const value = params[name] ?? fallback;
  if (typeof value !== 'string') throw new FieldError(`${name}: expected a string`);
  if (value.length > TEXT_LENGTH_MAX) {
    throw new FieldError(`${name}: ${value.length} characters, at most ${TEXT_LENGTH_MAX}`);
  }
  if (LONE_SURROGATE.test(value)) throw new FieldError(`${name}: half of a surrogate pair`);
  return value;
}

export function integer(
  params: Fields,
  name: string,
  {
    fallback,
    max = Number.MAX_SAFE_INTEGER,
  }: { readonly fallback?: number; readonly max?: number },
): number {
  const value = params[name] ?? fallback;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
    throw new FieldError(`${name}: expected an integer from 0 to ${max}`);
  }
  return value;
}

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
