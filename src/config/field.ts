import { z } from 'zod';

/**
 * The kinds of values cluster.yml knows. Each says in words what it allows, and that sentence is the
 * message of every error about it.
 */
export interface IntegerRange {
  readonly from: number;
  readonly to: number;
  readonly unit?: string | undefined;
}

export function integer(range: IntegerRange) {
  const unit = range.unit === undefined ? '' : ` (${range.unit})`;
  const error = `a whole number from ${range.from} to ${range.to}${unit}`;
  return z.number({ error }).int({ error }).min(range.from, { error }).max(range.to, { error });
}

export function milliseconds(from: number, to: number) {
  return integer({ from, to, unit: 'milliseconds' });
}

export function seconds(from: number, to: number) {
  return integer({ from, to, unit: 'seconds' });
}

export function bytes(from: number, to: number) {
  return integer({ from, to, unit: 'bytes' });
}

export function text(pattern: RegExp, allowed: string) {
  return z.string({ error: allowed }).regex(pattern, { error: allowed });
}

export function choice<const Values extends readonly [string, ...string[]]>(values: Values) {
  return z.enum(values, { error: `one of ${values.join(', ')}` });
}

export function flag() {
  return z.boolean({ error: 'true or false' });
}

export function port() {
  return integer({ from: 0, to: 65_535, unit: 'a port, 0 picks a free one' });
}

export function host() {
  const allowed = 'a host name or an IP address, without a port';
  return text(
    /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/,
    allowed,
  );
}

export function hostAndPort() {
  const allowed = 'host:port, as 10.0.0.1:7100';
  return text(/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$/, allowed).refine(
    (address) => hasUsablePort(address),
    { error: `${allowed}, with a port from 1 to 65535` },
  );
}

/** Without a port the one of its scheme is meant. */
function hasUsablePort(authority: string): boolean {
  const digits = /:(\d+)$/.exec(authority)?.[1];
  return digits === undefined || (Number(digits) >= 1 && Number(digits) <= 65_535);
}

/** As the Origin header of a browser: no path, and no port that its scheme has anyway. */
export function origin() {
  const allowed =
    'an origin as a browser sends it, without a path: https://chat.example.com, or null';
  return text(/^(?:[A-Za-z][A-Za-z0-9+.-]*:\/\/[^\s,/?#@]+|file:\/\/|null)$/i, allowed)
    .max(256, { error: allowed })
    .refine((value) => !/^(?:http:\/\/.*:80|https:\/\/.*:443)$/i.test(value), {
      error: `${allowed}; a browser leaves out :80 of http and :443 of https`,
    })
    .refine((value) => !/^https?:/i.test(value) || hasUsablePort(value), { error: allowed });
}

/** As the Host header of a client. */
export function hostName() {
  const allowed =
    'a host as a client names it, with or without a port: chat.example.com, [::1]:5200';
  return text(/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/, allowed)
    .max(256, { error: allowed })
    .refine((value) => hasUsablePort(value), { error: allowed });
}

export function url(schemes: readonly string[], example: string) {
  const pattern = new RegExp(`^(?:${schemes.join('|')})://[^\\s/?#@]+(?:/[^\\s?#]*)?$`);
  const starts = schemes.map((scheme) => `${scheme}://`).join(' or ');
  const allowed = `an address that starts with ${starts}, as ${example}`;
  return text(pattern, allowed).refine(
    (address) => hasUsablePort(address.split('/').slice(0, 3).join('/')),
    { error: `${allowed}, with a port from 1 to 65535` },
  );
}

export function listOf<Item extends z.ZodType>(item: Item, limit: { max: number; what: string }) {
  const error = `a list of at most ${limit.max} ${limit.what}`;
  return z.array(item, { error }).max(limit.max, { error });
}

export const SECRETS_MAX = 2;

/**
 * One secret, or two that are valid at once while one replaces the other: the first is presented to
 * others, both are accepted. A single string has become a list of one before it comes here.
 */
export function secret() {
  const allowed =
    'a string of 8 to 256 printable characters without spaces (quote it if it is a number), or a list of two';
  const item = z.string({ error: allowed }).regex(/^[\x21-\x7e]{8,256}$/, { error: allowed });
  return z
    .array(item, { error: allowed })
    .max(SECRETS_MAX, { error: allowed })
    .meta({ secret: true })
    .default([]);
}

/** All keys of a section are checked; an absent section is one of defaults only. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, { error: 'a section with keys of its own, as `key: value` lines' });
}
