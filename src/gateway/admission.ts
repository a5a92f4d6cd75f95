import type { UpgradeAnswer, UpgradeRequest } from './socket-server/port.ts';

export interface AdmissionRules {
  /** Origins of pages that may connect, such as `https://chat.example`; undefined: any. */
  readonly originsAllowed: readonly string[] | undefined;
  /** Names by which clients may reach the node, with or without port; undefined: any. */
  readonly hostsAllowed: readonly string[] | undefined;
}

const ACCEPT: UpgradeAnswer = { accept: true };

/**
 * A browser on the same machine is a stranger too: any page may open a WebSocket to any address,
 * and
 * only Origin and Host tell. What is no browser sends no Origin and is let through to `connect`.
 */
export function admitUpgrade(request: UpgradeRequest, rules: AdmissionRules): UpgradeAnswer {
  const { originsAllowed, hostsAllowed } = rules;
  const origin = request.origin?.toLowerCase();
  if (origin !== undefined && originsAllowed && !originsAllowed.includes(origin)) {
    return { accept: false, status: 403, body: 'This Origin may not connect.\n' };
  }
  const host = (request.host ?? '').toLowerCase();
  if (hostsAllowed && !hostsAllowed.includes(host) && !hostsAllowed.includes(hostName(host))) {
    return { accept: false, status: 403, body: 'This Host may not connect.\n' };
  }
  return ACCEPT;
}

export function busy(reason: string, retryAfterSeconds: number): UpgradeAnswer {
  const headers = { 'retry-after': String(retryAfterSeconds) };
  return { accept: false, status: 503, headers, body: `${reason}\n` };
}

/** Without the port; an IPv6 address keeps its brackets. */
function hostName(host: string): string {
  return host.replace(/:\d+$/, '');
}
