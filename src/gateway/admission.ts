import { isIP } from 'node:net';
import type { UpgradeAnswer, UpgradeRequest } from './socket-server/port.ts';

export interface AdmissionRules {
  /** Origins of pages that may connect, such as `https://chat.example`, in lower case. */
  readonly originsAllowed: readonly string[] | undefined;
  /** Names by which clients may reach the node, with or without port, in lower case. */
  readonly hostsAllowed: readonly string[] | undefined;
  /**
   * What goes in the place of a list that is undefined: the host names that members advertise, besides
   * those of this machine. Where this is undefined too, anything goes.
   */
  readonly advertised?: (() => ReadonlySet<string>) | undefined;
}

const ACCEPT: UpgradeAnswer = { accept: true };
const FOREIGN_ORIGIN =
  'Pages of this Origin may not connect: gateway.origins_allowed of the node does not name it.\n';
const FOREIGN_HOST =
  'This node is not known under that Host: gateway.hosts_allowed of the node does not name it.\n';
const LOOPBACK = /^(?:localhost|ip6-localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * A browser on the same machine is a stranger too: any page may open a WebSocket to any address,
 * and
 * only Origin and Host tell. What is no browser sends no Origin and is let through to `connect`.
 */
export function admitUpgrade(request: UpgradeRequest, rules: AdmissionRules): UpgradeAnswer {
  const origin = request.origin?.toLowerCase();
  if (origin !== undefined && !isOriginAllowed(origin, rules)) {
    return { accept: false, status: 403, body: FOREIGN_ORIGIN };
  }
  if (!isHostAllowed((request.host ?? '').toLowerCase(), rules)) {
    return { accept: false, status: 403, body: FOREIGN_HOST };
  }
  return ACCEPT;
}

function isOriginAllowed(origin: string, { originsAllowed, advertised }: AdmissionRules): boolean {
  if (originsAllowed) return originsAllowed.includes(origin);
  if (!advertised) return true;
  const name = /^https?:\/\/([^/@]+)$/.exec(origin)?.[1];
  return name !== undefined && isOwnName(hostName(name), advertised);
}

/** An IP address as Host cannot be a rebound name, so without a list it is taken. */
function isHostAllowed(host: string, { hostsAllowed, advertised }: AdmissionRules): boolean {
  const name = hostName(host);
  if (hostsAllowed) return hostsAllowed.includes(host) || hostsAllowed.includes(name);
  if (!advertised) return true;
  return isOwnName(name, advertised) || isIP(name.replace(/^\[(.*)\]$/, '$1')) > 0;
}

function isOwnName(name: string, advertised: () => ReadonlySet<string>): boolean {
  return LOOPBACK.test(name) || advertised().has(name);
}

export function busy(reason: string, retryAfterSeconds: number): UpgradeAnswer {
  const headers = { 'retry-after': String(retryAfterSeconds) };
  return { accept: false, status: 503, headers, body: `${reason}\n` };
}

/** Without the port; an IPv6 address keeps its brackets. */
function hostName(host: string): string {
  return host.replace(/:\d+$/, '');
}
