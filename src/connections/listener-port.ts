/** What takes connections and can be turned off while the node runs. */
export type ListenerName = 'client' | 'http';
export const LISTENER_NAMES: readonly ListenerName[] = ['client', 'http'];

export interface ListenerState {
  readonly name: ListenerName;
  readonly state: 'enabled' | 'disabling' | 'disabled' | 'draining';
  /** host:port that is bound; it stays bound while disabled. */
  readonly address: string;
  /** Open connections (client) or requests in work (http). */
  readonly connections: number;
  /** Wall clock, when it came into this state; 0: since the node's start. */
  readonly sinceMs: number;
}

export interface ListenerChange {
  readonly state: ListenerState;
  /** False where it was so already. */
  readonly changed: boolean;
  /** Connections that were ended, and those of them that did not answer the Close frame. */
  readonly ended: number;
  readonly terminated: number;
}

export interface DrainRequest {
  /** Undefined: as configured. */
  readonly sessionsPerSecond?: number | undefined;
}

export class ListenerError extends Error {
  override readonly name = 'ListenerError';
  /** unavailable: the node starts, stops or is rebuilt. illegal: not in this state. */
  readonly code: 'unavailable' | 'illegal';

  constructor(code: ListenerError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** The operator's view of this node's listeners. Changes of one listener happen one after the other. */
export interface Listeners {
  list(): readonly ListenerState[];
  enable(name: ListenerName): Promise<ListenerChange>;
  /** `retryAfterSeconds`: 0 where nobody is to come back. Resolves when every connection has gone. */
  disable(name: ListenerName, retryAfterSeconds: number): Promise<ListenerChange>;
  /** Begins to send clients elsewhere; the number of sessions then. Enabling `client` calls it off. */
  drain(request: DrainRequest): number;
}
