import type { Outcome, ReasonCode, Refusal } from '../../core/reason-code.ts';
import type { ChannelKey } from '../../core/ids.ts';
import type { PublishResult, SubscriptionResult } from '../../messaging/port.ts';
import type { ResumeFilter } from '../../messaging/resume/port.ts';
import type { Ref, SubscriptionFrame } from '../codec/frame.ts';
import type { ResumeView } from '../codec/json-rpc-resume.ts';
import type { WkKeys } from '../codec/wkproto-crypto.ts';
import type { WkStream } from '../codec/wkproto-stream.ts';
import type { ClientSession } from './session.ts';

/** How one wire format reads requests and writes replies. Has no state: that is the session's. */
export interface Dialect {
  readonly protocol: 'json-rpc' | 'wkproto';
  /** Parses and passes each frame to `session.handle`. The bytes are only valid during the call. */
  receive(session: ClientSession, bytes: Uint8Array, binary: boolean): void;
  acceptConnect(session: ClientSession, ref: Ref, accepted: Accepted): void;
  refuseConnect(session: ClientSession, ref: Ref, refusal: Refusal): void;
  replySend(session: ClientSession, ref: Ref, outcome: Outcome<PublishResult>): void;
  replySubscription(
    session: ClientSession,
    frame: SubscriptionFrame,
    outcome: Outcome<SubscriptionResult>,
  ): void;
  pong(session: ClientSession, ref: Ref): void;
  /** A frame that is well formed but may not come now, or too often. */
  refuseFrame(session: ClientSession, ref: Ref, refusal: Refusal): void;
  /** Says why before the connection is closed for good. */
  sayDisconnect(session: ClientSession, reasonCode: ReasonCode, text: string): void;
}

export interface Accepted {
  readonly timeDiffMs: number;
  /** Of a client that resumes; WKProto has no place for it. */
  readonly resume: ResumeView | undefined;
}

/** Of a session that resumed on a node which is behind what its client has seen. */
export interface Ahead {
  readonly filter: ResumeFilter;
  readonly channels: Set<ChannelKey>;
}

/** What only a WKProto session needs. */
export interface WkState {
  readonly stream: WkStream;
  version: number;
  keys: WkKeys | undefined;
  serverKey: string;
  salt: string;
  /** Its fan-out is by sets and not by topics, so it must know what to leave. */
  readonly channels: Set<ChannelKey>;
}
