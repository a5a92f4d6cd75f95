/** The messages of Reload; the proto says what they mean. */
export interface ReloadReply {
  readonly node: string;
  readonly result: string;
  readonly changes: readonly ReloadChange[];
  readonly errors: readonly string[];
  readonly ended: number;
  /** Absent from nodes of an earlier version. */
  readonly kept?: readonly string[] | undefined;
}

export interface ReloadChange {
  readonly path: string;
  readonly before: string;
  readonly after: string;
  readonly live: boolean;
  readonly note: string;
}
