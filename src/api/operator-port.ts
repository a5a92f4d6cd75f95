/** What an operator's page may ask of its node; the admin service answers. */
export interface OperatorPort {
  /** Any of them lets in. */
  readonly tokens: () => readonly string[];
  /** Where there is no token: everyone who reaches the port may, as the caller has made sure of loopback. */
  readonly openWithoutToken: boolean;
  /** Wall clock. Milliseconds. */
  readonly nowMs: () => number;
  /** Never rejects. */
  answer(name: string, request: unknown): Promise<OperatorAnswer>;
}

export type OperatorAnswer =
  | { readonly ok: true; readonly value: object }
  | { readonly ok: false; readonly status: number; readonly message: string };
