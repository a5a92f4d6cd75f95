import type { TlsSource } from '../config/certificate.ts';
import type { MemberId, Uid } from '../core/ids.ts';
import type { Member } from '../core/member.ts';
import type { Services } from '../messaging/port.ts';
import type { Random, Timers } from '../runtime/port.ts';
import type { OperatorPort } from './operator-port.ts';

/** The part of the node's log that this room uses. */
export interface ApiLog {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

export interface HealthReport {
  readonly ready: boolean;
  /** Why it is not ready, in words for an operator; empty where it is. */
  readonly reasons: readonly string[];
  /** What an operator should know although the node does its work. */
  readonly degraded?: readonly string[] | undefined;
}

export interface ClusterView {
  readonly self: MemberId;
  readonly members: readonly Member[];
  readonly live: ReadonlySet<MemberId>;
  /** Clients connected to this node. */
  readonly sessions: number;
}

/** One finished request, for a counter. `route` is the pattern, never what the client wrote. */
export interface SeenRequest {
  readonly method: string;
  readonly route: string;
  readonly status: number;
}

export interface HttpApiOptions {
  readonly services: Services;
  /**
   * Header `token` (or `Authorization: Bearer`) must be one of them. Empty: open to all who connect. A
   * function where they rotate: asked with each request, the same array as long as nothing changed.
   */
  readonly managerTokens: readonly string[] | (() => readonly string[]);
  /** Host names, without port. Empty: loopback names, IP addresses and the advertised names. */
  readonly hostsAllowed: readonly string[];
  /** Origins as browsers send them, besides the page's own. */
  readonly originsAllowed: readonly string[];
  /** Absent: plain HTTP. */
  readonly tls?: TlsSource | undefined;
  readonly bodyBytesMax: number;
  readonly log: ApiLog;
  readonly random: Random;
  readonly timers: Timers;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly health: () => HealthReport;
  readonly cluster: () => ClusterView;
  /** ws:// or wss:// address where this user, or any, should connect. */
  readonly clientAddressFor: (uid: Uid | undefined) => string;
  /** Absent: the operator's page can do nothing. */
  readonly operator?: OperatorPort | undefined;
  /** uids of one call. 100,000 by default. */
  readonly uidsMax?: number | undefined;
  /** Requests being answered at once; one more gets 503. 1,000 by default. */
  readonly requestsMax?: number | undefined;
  /** Open connections; one more is closed at once. 10,000 by default. */
  readonly connectionsMax?: number | undefined;
  /** To send a whole request. 30,000 by default. */
  readonly requestTimeoutMs?: number | undefined;
  /** What `stop` gives to requests in work before it closes their connections. 2,000 by default. */
  readonly closeGraceMs?: number | undefined;
  readonly onRequest?: ((seen: SeenRequest) => void) | undefined;
}

interface Limits {
  readonly uidsMax: number;
  readonly requestsMax: number;
  readonly connectionsMax: number;
  readonly requestTimeoutMs: number;
  readonly closeGraceMs: number;
}

/** `HttpApiOptions` with the defaults filled in. */
export type ApiContext = Omit<HttpApiOptions, keyof Limits> & Limits;

export function withDefaults(options: HttpApiOptions): ApiContext {
  return {
    ...options,
    uidsMax: options.uidsMax ?? 100_000,
    requestsMax: options.requestsMax ?? 1000,
    connectionsMax: options.connectionsMax ?? 10_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
    closeGraceMs: options.closeGraceMs ?? 2000,
  };
}

/** Answers one POST: takes the JSON body, resolves with the JSON text of a 200, throws `HttpError`. */
export type ApiCall = (body: unknown) => string | Promise<string>;
export type ApiCalls = Readonly<Record<string, ApiCall>>;
