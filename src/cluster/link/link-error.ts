export type LinkErrorCode =
  /** Nobody answers there, or no peer of this protocol. */
  | 'UNREACHABLE'
  /** One of the two did not prove the cluster's secret. */
  | 'UNAUTHENTICATED'
  /** The peer is of this cluster's secret, but this is not the member or cluster that was meant. */
  | 'REFUSED'
  | 'DEADLINE'
  | 'ABORTED'
  /** No secret, and a listener that strangers can reach. */
  | 'INSECURE'
  | 'LISTEN';

/** An expected failure to open or accept links; `code` is stable, the message is for people. */
export class LinkError extends Error {
  readonly code: LinkErrorCode;

  constructor(code: LinkErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'LinkError';
    this.code = code;
  }
}
