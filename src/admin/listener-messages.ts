/** The messages of Listeners, EnableListener, DisableListener and Drain; the proto says what they mean. */
export interface ListenersReply {
  readonly node: string;
  readonly listeners: readonly ListenerInfo[];
}

export interface ListenerInfo {
  readonly name: string;
  readonly state: string;
  readonly address: string;
  readonly connections: number;
  readonly sinceMs: number;
}

export interface EnableListenerRequest {
  readonly name: string;
}

export interface DisableListenerRequest {
  readonly name: string;
  readonly retryAfterSeconds: number;
  readonly forGood: boolean;
}

export interface ListenerReply {
  readonly node: string;
  readonly listener: ListenerInfo | null;
  readonly changed: boolean;
  readonly ended: number;
  readonly terminated: number;
}

export interface DrainRequest {
  readonly sessionsPerSecond: number;
}

export interface DrainReply {
  readonly node: string;
  readonly sessions: number;
}
