/** WuKongIM's reason codes, and from 101 on ours: one meaning on every client surface. */
export const REASON = {
  unknown: 0,
  success: 1,
  authenticationFailed: 2,
  subscriberMissing: 3,
  blacklisted: 4,
  channelMissing: 5,
  userNotOnNode: 6,
  senderOffline: 7,
  wrongMsgKey: 8,
  payloadDecode: 9,
  sendNotAllowed: 11,
  kicked: 12,
  notWhitelisted: 13,
  systemError: 15,
  channelIdInvalid: 16,
  banned: 19,
  rateLimited: 22,
  channelTypeUnsupported: 23,
  disbanded: 24,
  sendBanned: 25,
  idempotencyConflict: 28,
  messageMissing: 101,
  recallDenied: 102,
  recallExpired: 103,
} as const;

export type ReasonCode = (typeof REASON)[keyof typeof REASON];

/** An expected refusal, as a value. */
export interface Refusal {
  readonly ok: false;
  readonly code: ReasonCode;
  readonly message: string;
}

export type Outcome<Value> = { readonly ok: true; readonly value: Value } | Refusal;

export function refuse(code: ReasonCode, message: string): Refusal {
  return { ok: false, code, message };
}
