import { createHmac, timingSafeEqual } from 'node:crypto';
import { Packr } from 'msgpackr';
import { parseMemberId, type MemberId, type Parsed } from '../../core/ids.ts';

/**
 * Both ends prove that they know the cluster's secret, before either takes a message from the
 * other:
 *
 *   opener → acceptor   opening:   cluster, own id, the id that is meant, nonce
 *   opener ← acceptor   challenge: nonce
 *   opener → acceptor   proof:     HMAC-SHA256 by each secret that the opener knows
 *   opener ← acceptor   welcome:   HMAC-SHA256 by the secret that matched
 *
 * A proof covers its direction (so it cannot be sent back), the cluster, both ids and both nonces
 * (so it cannot be replayed). Several secrets are valid at once, so that they can be rotated node
 * by node. It does not bind the connection: who can alter traffic between members needs to be kept
 * out by mTLS.
 */
export const NONCE_BYTES = 32;
export const SECRETS_MAX = 4;
const MAC_BYTES = 32;
const CLUSTER_LENGTH_MAX = 256;

export interface Opening {
  readonly cluster: string;
  readonly opener: MemberId;
  readonly acceptor: MemberId;
  readonly nonce: Uint8Array;
}

/** All that a proof covers besides its direction. */
export interface Exchange extends Opening {
  readonly answer: Uint8Array;
}

const packr = new Packr({ useRecords: false });

export function encodeOpening({ cluster, opener, acceptor, nonce }: Opening): Uint8Array {
  return packr.pack([cluster, opener, acceptor, nonce]);
}

export function decodeOpening(payload: Uint8Array): Parsed<Opening> {
  const fields = unpack(payload, 4);
  if (!fields) return { ok: false, error: 'opening: expected four fields' };
  const [cluster, opener, acceptor] = [
    fields[0],
    parseMemberId(fields[1]),
    parseMemberId(fields[2]),
  ];
  const nonce = fields[3];
  if (typeof cluster !== 'string' || cluster.length > CLUSTER_LENGTH_MAX) {
    return { ok: false, error: 'opening: expected the name of a cluster' };
  }
  if (!opener.ok || !acceptor.ok) return { ok: false, error: 'opening: expected two member ids' };
  if (!isBytes(nonce, NONCE_BYTES)) return { ok: false, error: 'opening: expected a nonce' };
  return { ok: true, value: { cluster, opener: opener.value, acceptor: acceptor.value, nonce } };
}

export function encodeBytes(parts: readonly Uint8Array[]): Uint8Array {
  return packr.pack(parts);
}

/**
 * The nonce of a challenge, the macs of a proof or the mac of a welcome: 1 to `partsMax` of 32
 * bytes.
 */
export function decodeBytes(
  payload: Uint8Array,
  partsMax: number,
): readonly Uint8Array[] | undefined {
  const fields = unpack(payload);
  if (!fields || fields.length < 1 || fields.length > partsMax) return undefined;
  return fields.every((each) => isBytes(each, MAC_BYTES)) ? fields : undefined;
}

export type Direction = 'opener' | 'acceptor';

export function macOf(secret: string, direction: Direction, exchange: Exchange): Uint8Array {
  const { cluster, opener, acceptor, nonce, answer } = exchange;
  const hex = [nonce, answer].map((bytes) => Buffer.from(bytes).toString('hex'));
  return createHmac('sha256', secret)
    .update(JSON.stringify(['holdfast peer 1', direction, cluster, opener, acceptor, ...hex]))
    .digest();
}

/** The secret by which one of `macs` was made. Takes equally long wherever the match is. */
export function matchingSecret(
  secrets: readonly string[],
  macs: readonly Uint8Array[],
  expected: { readonly direction: Direction; readonly exchange: Exchange },
): string | undefined {
  let found: string | undefined;
  for (const secret of secrets) {
    const mac = macOf(secret, expected.direction, expected.exchange);
    for (const each of macs) if (timingSafeEqual(each, mac)) found = secret;
  }
  return found;
}

function unpack(payload: Uint8Array, length?: number): readonly unknown[] | undefined {
  try {
    const fields: unknown = packr.unpack(payload);
    if (!Array.isArray(fields)) return undefined;
    return length === undefined || fields.length === length ? fields : undefined;
  } catch {
    return undefined;
  }
}

function isBytes(value: unknown, length: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === length;
}
