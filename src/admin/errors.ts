import { Metadata, status } from '@grpc/grpc-js';
import { REASON, type ReasonCode, type Refusal } from '../core/reason-code.ts';
import type { Parsed } from '../core/ids.ts';

/** An expected failure of an admin call, with the gRPC status it becomes. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
  readonly code: status;
  /** The request field at fault. */
  readonly field: string;
  /** The reason code that clients see, 0 for none. */
  readonly reason: number;

  constructor(
    code: status,
    message: string,
    details: { field?: string; reason?: number; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.field = details.field ?? '';
    this.reason = details.reason ?? 0;
  }
}

export function invalid(field: string, message: string): AdminError {
  return new AdminError(status.INVALID_ARGUMENT, `${field}: ${message}`, { field });
}

/** The parsed value; a refusal throws INVALID_ARGUMENT that names the field of the request. */
export function take<Value>(parsed: Parsed<Value>, field: string): Value {
  if (parsed.ok) return parsed.value;
  // The parsers say "uid: is empty"; on this surface the field's own name is the better one.
  throw invalid(field, parsed.error.replace(/^[A-Za-z ]+: /, ''));
}

/** The one place where refusals become gRPC statuses (the table at the top of proto/admin.proto). */
export function statusOf(code: ReasonCode): status {
  switch (code) {
    case REASON.systemError:
      return status.UNAVAILABLE;
    case REASON.authenticationFailed:
      return status.UNAUTHENTICATED;
    case REASON.blacklisted:
    case REASON.sendNotAllowed:
    case REASON.notWhitelisted:
    case REASON.banned:
    case REASON.sendBanned:
    case REASON.recallDenied:
      return status.PERMISSION_DENIED;
    case REASON.subscriberMissing:
    case REASON.channelMissing:
    case REASON.userNotOnNode:
    case REASON.messageMissing:
      return status.NOT_FOUND;
    case REASON.disbanded:
    case REASON.senderOffline:
    case REASON.recallExpired:
      return status.FAILED_PRECONDITION;
    case REASON.channelIdInvalid:
    case REASON.channelTypeUnsupported:
    case REASON.payloadDecode:
    case REASON.wrongMsgKey:
      return status.INVALID_ARGUMENT;
    case REASON.rateLimited:
      return status.RESOURCE_EXHAUSTED;
    case REASON.idempotencyConflict:
      return status.ALREADY_EXISTS;
    case REASON.kicked:
      return status.ABORTED;
    case REASON.unknown:
    case REASON.success:
      return status.INTERNAL;
    default:
      return code satisfies never;
  }
}

export function refusalError(refusal: Refusal): AdminError {
  return new AdminError(statusOf(refusal.code), refusal.message, { reason: refusal.code });
}

export interface StatusFields {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** What goes on the wire. Of a defect only that there was one: its text may hold what nobody should see. */
export function toStatus(error: unknown): StatusFields {
  const metadata = new Metadata();
  if (!(error instanceof AdminError)) {
    metadata.set(ORIGIN_TRAILER, 'node');
    return { code: status.INTERNAL, details: 'internal error, see the log of the node', metadata };
  }
  metadata.set(ORIGIN_TRAILER, 'node');
  // Metadata takes printable ASCII only; field names are, unless a defect makes them otherwise.
  if (error.field) metadata.set('holdfast-field', error.field);
  if (error.reason) metadata.set('holdfast-reason', String(error.reason));
  return { code: error.code, details: error.message, metadata };
}

/** Tells a client that the node itself refused, and not the connection to it. */
export const ORIGIN_TRAILER = 'holdfast-origin';
