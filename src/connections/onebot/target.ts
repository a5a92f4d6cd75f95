import { parseUid } from '../../core/ids.ts';

/** What a bridge needs to know, as JSON in its connection's target. */
export interface BridgeTarget {
  /** The bot: a user of the cluster. */
  readonly uid: string;
  /** Its own token, where the cluster asks for one. */
  readonly token: string;
  /** Shared with the other side; empty for none. */
  readonly accessToken: string;
  /** Reverse: where to dial. */
  readonly url: string;
  /** Reverse: Universal, or API and Event apart. */
  readonly roles: readonly BridgeRole[];
  /** Forward: where to listen. */
  readonly host: string;
  readonly port: number;
  /** Forward: `required` for wss://, with the certificate of the owner's client port. */
  readonly tls: 'none' | 'required';
  readonly heartbeatMs: number;
  /** `required`: a device of the bot's user confirms a code before the bridge is opened. */
  readonly pairing: 'none' | 'required';
}

export type BridgeRole = 'Universal' | 'API' | 'Event';

const ROLES: readonly BridgeRole[] = ['Universal', 'API', 'Event'];
const HEARTBEAT_MS = 15_000;
const DEFAULTS: BridgeTarget = {
  ...{ uid: '', token: '', accessToken: '', url: '', roles: ['Universal'] },
  ...{ host: '127.0.0.1', port: 0, tls: 'none', heartbeatMs: HEARTBEAT_MS, pairing: 'none' },
};

/** The target, or what is wrong with it. */
export function readTarget(text: string, kind: 'forward' | 'reverse'): BridgeTarget | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'expected JSON';
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return 'expected an object';
  const unknown = Object.keys(value).find((name) => !Object.hasOwn(DEFAULTS, name));
  if (unknown !== undefined) {
    return `${unknown}: unknown; known are ${Object.keys(DEFAULTS).join(', ')}`;
  }
  const target = { ...DEFAULTS, ...(value as Partial<BridgeTarget>) };
  return faultOf(target, kind) ?? target;
}

function faultOf(target: BridgeTarget, kind: 'forward' | 'reverse'): string | undefined {
  const { uid, token, accessToken, url, roles, host, port, heartbeatMs, pairing, tls } = target;
  const texts = { uid, token, accessToken, url, host };
  const odd = Object.entries(texts).find(([, text]) => typeof text !== 'string');
  if (odd) return `${odd[0]}: expected a text`;
  if (uid === '') return 'uid: the user that the bot is, is missing';
  const user = parseUid(uid);
  if (!user.ok) return user.error;
  if (!Array.isArray(roles) || roles.length === 0 || !roles.every((role) => ROLES.includes(role))) {
    return `roles: expected some of ${ROLES.join(', ')}`;
  }
  if (!isWhole(heartbeatMs, 1_000, 3_600_000)) return 'heartbeatMs: expected 1000 to 3600000';
  if (pairing !== 'none' && pairing !== 'required') return 'pairing: expected none or required';
  if (tls !== 'none' && tls !== 'required') return 'tls: expected none or required';
  if (kind === 'reverse') {
    if (tls !== 'none') return 'tls: only where the bot is listened for; here the url says wss://';
    return /^wss?:\/\/[^\s]+$/.test(url)
      ? undefined
      : 'url: expected ws:// or wss:// and an address';
  }
  if (!isWhole(port, 1, 65_535)) return 'port: expected 1 to 65535';
  const isOpen = accessToken === '' && host !== '127.0.0.1' && host !== '::1';
  return isOpen ? 'accessToken: needed where strangers can connect' : undefined;
}

/** The user whose devices confirm the pairing that the target asks for. */
export function pairsWith(text: string): string | undefined {
  // What is wrong otherwise says the driver.
  const { uid, pairing } = parsed(text) ?? {};
  return pairing === 'required' && typeof uid === 'string' ? uid : undefined;
}

function parsed(text: string): Partial<BridgeTarget> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}
