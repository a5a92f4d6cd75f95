import type { MemberId } from './ids.ts';

/** A node of the cluster, as every other node knows it. */
export interface Member {
  readonly id: MemberId;
  /** The member's own number, 0 to slots − 1, never given again. */
  readonly slot: number;
  /** host:port of the peer listener, reachable from the other members. */
  readonly peerAddress: string;
  /** ws:// or wss:// address that clients use. */
  readonly clientAddress: string;
  /** http:// address of the API. */
  readonly httpAddress: string;
  /** host:port of the gRPC admin listener. */
  readonly adminAddress: string;
}

/** Persistent membership, apart from who is live. */
export interface Roster {
  readonly epoch: number;
  /** Sorted by id. */
  readonly members: readonly Member[];
}

export const MEMBERS_MAX = 32;
