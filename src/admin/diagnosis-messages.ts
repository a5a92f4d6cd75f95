/** The messages of Explain, Repair, Verify and OperationLog; the proto says what every field means. */
export interface PairRequest {
  readonly uid: string;
  readonly channelId: string;
  readonly channelType: number;
}

export interface Finding {
  readonly code: string;
  readonly member: string;
  readonly text: string;
}

export interface SilentMember {
  readonly member: string;
  readonly reason: string;
}

export interface Explanation extends PairRequest {
  readonly atMs: number;
  readonly member: string;
  readonly receives: string;
  readonly verdict: Finding | null;
  /** What to do now. */
  readonly next: string;
  readonly findings: readonly Finding[];
  readonly members: readonly MemberFacts[];
  readonly silent: readonly SilentMember[];
  readonly history: readonly LogLine[];
}

export interface MemberFacts {
  readonly member: string;
  readonly actor: string;
  readonly store: string;
  readonly storeError: string;
  readonly mayWrite: boolean;
  readonly shard: number;
  readonly row: string;
  readonly entries: readonly RowEntry[];
  readonly reverse: boolean;
  readonly denials: readonly Denial[];
  readonly index: string;
  readonly sessions: readonly SessionFacts[];
  readonly last: MessageFacts | null;
  readonly interest: readonly InterestFacts[];
  readonly peers: readonly PeerFacts[];
}

export interface RowEntry {
  readonly dot: string;
  readonly atMs: number;
  readonly removal: boolean;
  readonly live: boolean;
  readonly contextActors: number;
  readonly contextWrites: number;
}

export interface Denial {
  readonly reason: string;
  readonly live: boolean;
  readonly entries: readonly RowEntry[];
}

export interface SessionFacts {
  readonly id: number;
  readonly deviceFlag: number;
  readonly deviceId: string;
  readonly protocol: string;
  readonly remoteAddress: string;
  readonly connectedAtMs: number;
  readonly inTopic: string;
  readonly topics: number;
  readonly queueBytes: number;
}

export interface MessageFacts {
  readonly messageSeq: number;
  readonly messageId: string;
  readonly sender: string;
  readonly atMs: number;
}

export interface InterestFacts {
  readonly member: string;
  readonly channel: boolean;
  readonly devices: number;
}

export interface PeerFacts {
  readonly member: string;
  readonly live: boolean;
  readonly lagging: boolean;
  readonly behind: number;
  readonly lastError: string;
  readonly unverifiedMs: number;
  readonly sweepDueMs: number;
}

export interface RepairReply {
  readonly changes: readonly RepairChange[];
  readonly members: readonly MemberRepair[];
  readonly silent: readonly SilentMember[];
  readonly after: Explanation | null;
}

export interface RepairChange {
  readonly member: string;
  readonly layer: string;
  readonly action: string;
  readonly cause: string;
  readonly dots: string;
  readonly detail: string;
}

export interface MemberRepair {
  readonly member: string;
  readonly checked: readonly string[];
  readonly failed: readonly string[];
}

export interface VerifyState {
  readonly steps: readonly VerifyStep[];
  readonly lastTrueMs: number;
  readonly ended: boolean;
  readonly proved: boolean;
}

export interface VerifyStep {
  readonly member: string;
  readonly name: string;
  readonly state: string;
  readonly done: number;
  readonly total: number;
  readonly detail: string;
}

export interface OperationLogRequest {
  readonly uid: string;
  readonly channel: { readonly channelId: string; readonly channelType: number } | null;
  readonly cause: string;
  readonly sinceMs: number;
  readonly limit: number;
}

export interface OperationLogReply {
  readonly lines: readonly LogLine[];
  readonly silent: readonly SilentMember[];
}

export interface LogLine {
  readonly member: string;
  readonly atMs: number;
  readonly action: string;
  readonly cause: string;
  readonly channelId: string;
  readonly channelType: number;
  readonly uid: string;
  readonly dot: string;
  readonly result: string;
  readonly detail: string;
}
