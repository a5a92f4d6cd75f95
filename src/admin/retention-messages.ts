/** The messages of Retention; the proto says what every field means. */
export interface RetentionRequest {
  readonly channelId: string;
  readonly channelType: number;
}

export interface RetentionReply {
  readonly node: string;
  readonly rules: readonly RetentionRuleInfo[];
  readonly floorsRaised: number;
  readonly messagesRemoved: number;
  readonly bytesRemoved: number;
  readonly passes: number;
  readonly floor: FloorInfo | null;
}

export interface RetentionRuleInfo {
  readonly types: string;
  readonly ageMs: number;
  readonly bytesMax: number;
}

export interface FloorInfo {
  readonly seq: number;
  readonly reason: string;
  readonly atMs: number;
}
