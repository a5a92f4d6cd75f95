import { fileURLToPath } from 'node:url';
import { loadSync } from '@grpc/proto-loader';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';

/** The message of proto/cluster.proto. */
export interface Envelope {
  readonly kind: number;
  readonly payload: Uint8Array;
}

/** Kinds from 100 on belong to the handshake and to the end of a link. */
export const OPENING = 100;
export const CHALLENGE = 101;
export const PROOF = 102;
export const WELCOME = 103;
export const CLOSING = 104;

/** What an envelope takes besides its payload: field numbers, lengths and gRPC's own five bytes. */
export const ENVELOPE_BYTES = 16;

// src/ and dist/ are both beside proto/, so the path is the same from either.
const PROTO = fileURLToPath(new URL('../../../proto/cluster.proto', import.meta.url));

export const peersService = loadSync(PROTO, { defaults: true })[
  'holdfast.cluster.v1.Peers'
] as ServiceDefinition;

export const connectMethod = peersService['Connect'] as MethodDefinition<Envelope, Envelope>;
