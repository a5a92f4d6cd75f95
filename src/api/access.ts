import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { Member } from '../core/member.ts';
import { HttpError } from './http-error.ts';

const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['localhost', 'ip6-localhost']);

export interface RequestOrigin {
  /** The Host header. */
  readonly host: string | undefined;
  readonly origin: string | undefined;
}

export interface AllowLists {
  readonly hostsAllowed: readonly string[];
  readonly originsAllowed: readonly string[];
  /** Names that the cluster's members advertise. */
  readonly advertised: () => ReadonlySet<string>;
}

/**
 * Throws 403 for a name or a page that this node does not know: a browser on the same machine is a
 * stranger too. A rebound DNS name shows in Host, a foreign page in Origin. An IP address as Host cannot
 * be rebound, so without a configured list it is taken.
 */
export function checkOrigin({ host, origin }: RequestOrigin, lists: AllowLists): void {
  const name = host === undefined ? undefined : hostName(host);
  if (name === undefined || !isHostAllowed(name, lists)) {
    const found = host === undefined ? 'no Host' : JSON.stringify(host.slice(0, 256));
    throw new HttpError(
      403,
      `Host: ${found} is not allowed here; http.hosts_allowed lists the names`,
    );
  }
  if (origin === undefined || isSameHost(origin, host!)) return;
  if (!lists.originsAllowed.some((allowed) => allowed.toLowerCase() === origin.toLowerCase())) {
    const found = JSON.stringify(origin.slice(0, 256));
    throw new HttpError(403, `Origin: ${found} may not use this API`);
  }
}

function isHostAllowed(name: string, { hostsAllowed, advertised }: AllowLists): boolean {
  if (hostsAllowed.length > 0) {
    return hostsAllowed.some((allowed) => hostName(allowed) === name);
  }
  return LOOPBACK_NAMES.has(name) || isIP(unbracketed(name)) > 0 || advertised().has(name);
}

/** Behind a proxy the scheme differs, so the authority alone is compared. */
function isSameHost(origin: string, host: string): boolean {
  const match = /^https?:\/\/(.+)$/i.exec(origin);
  return match !== null && match[1]!.toLowerCase() === host.toLowerCase();
}

/** Lower case, without port; undefined where it is no host. */
export function hostName(host: string): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^\s:/@[\]]+)(?::\d{1,5})?$/i.exec(host);
  return match?.[1]!.toLowerCase().replace(/\.$/, '');
}

/** Host names in the addresses that members advertise to clients and backends. */
export function advertisedNames(members: readonly Member[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { clientAddress, httpAddress } of members) {
    for (const address of [clientAddress, httpAddress]) {
      if (URL.canParse(address)) names.add(new URL(address).hostname.toLowerCase());
    }
  }
  return names;
}

export type TokenCheck = (headers: {
  readonly token?: string | string[] | undefined;
  readonly authorization?: string | undefined;
}) => void;

/**
 * Throws 401 without a valid token. `Authorization: Bearer` is for callers that cannot set `token`, such
 * as Prometheus. Without configured tokens everyone passes: the node then listens on loopback only.
 */
export function tokenCheck(
  managerTokens: readonly string[] | (() => readonly string[]),
): TokenCheck {
  const current = typeof managerTokens === 'function' ? managerTokens : () => managerTokens;
  let tokens = current();
  let digests = tokens.map(digestOf);
  return ({ token, authorization }) => {
    if (current() !== tokens) {
      tokens = current();
      digests = tokens.map(digestOf);
    }
    if (digests.length === 0) return;
    const bearer = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    const given = typeof token === 'string' && token !== '' ? token : bearer;
    if (given === undefined)
      throw new HttpError(401, 'no token: send the manager token in header "token"');
    const digest = digestOf(given);
    // Every token is compared, so the time tells neither which one fits nor how far it did.
    let valid = false;
    for (const known of digests) valid = timingSafeEqual(digest, known) || valid;
    if (!valid) throw new HttpError(401, 'the token in header "token" is not valid on this node');
  };
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function unbracketed(name: string): string {
  return name.startsWith('[') ? name.slice(1, -1) : name;
}
