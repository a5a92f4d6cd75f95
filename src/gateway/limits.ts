/** What bounds one gateway. Every default is what a node without configuration uses. */
export interface GatewayLimits {
  /** A frame, or one binary packet, that is larger closes the connection (1009). */
  readonly frameBytesMax: number;
  /** More are refused at the upgrade (503). */
  readonly sessionsMax: number;
  /** A client that has as many subscriptions gets reason 22 for one more. */
  readonly subscriptionsPerSessionMax: number;
  /** Requests of one session that are not answered yet; more get reason 22. */
  readonly pendingRequestsMax: number;
  /** Frames of any kind in a second, after a burst of twice as many. 0: no limit. */
  readonly framesPerSecondMax: number;
  /** Sends in a second, after a burst of twice as many. 0: no limit. */
  readonly sendsPerSecondMax: number;
  /** Requests for what was said before, in a second, after a burst of twice as many. 0: no limit. */
  readonly queriesPerSecondMax: number;
  /** Messages or conversations of one answer. */
  readonly pageMax: number;
  /** Payload bytes after which an answer ends, with one message at least. */
  readonly pageBytesMax: number;
  /** Malformed frames in a row that close the connection (1008). */
  readonly badFramesMax: number;
  /** A connection that has not said connect by then is closed (1008). */
  readonly connectWithinMs: number;
  /** Without a frame from the client for this long the connection is closed. */
  readonly idleSeconds: number;
  /** Unsent bytes that end a session with 1013. */
  readonly queueSoftBytesMax: number;
  /** Unsent bytes that close the connection at once. */
  readonly queueBytesMax: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  frameBytesMax: 64 * 1024,
  sessionsMax: 100_000,
  subscriptionsPerSessionMax: 10_000,
  pendingRequestsMax: 256,
  framesPerSecondMax: 10_000,
  sendsPerSecondMax: 1_000,
  queriesPerSecondMax: 50,
  pageMax: 1_000,
  pageBytesMax: 256 * 1024,
  badFramesMax: 20,
  connectWithinMs: 10_000,
  idleSeconds: 75,
  queueSoftBytesMax: 1024 * 1024,
  queueBytesMax: 4 * 1024 * 1024,
};

/** What may change while a gateway runs. */
export interface GatewayRules {
  /** `none`: everyone is who they say. `token`: what `directory.checkToken` grants. */
  readonly auth: 'none' | 'token';
  readonly limits?: Partial<GatewayLimits> | undefined;
  /** Lower case; undefined: those of this machine and of `advertised`. */
  readonly originsAllowed?: readonly string[] | undefined;
  readonly hostsAllowed?: readonly string[] | undefined;
}
