/** The messages of Reload; the proto says what they mean. */
export interface ReloadReply {
  readonly node: string;
  readonly result: string;
  readonly changes: readonly ReloadChange[];
  readonly errors: readonly string[];
  readonly ended: number;
}

export interface ReloadChange {
  readonly path: string;
  readonly before: string;
  readonly after: string;
  readonly live: boolean;
  readonly note: string;
}
