import { channelIdFor } from '../../core/placement.ts';
import { channelTypeOf, type Uid } from '../../core/ids.ts';
import { RESUME_SEEN_MAX, type ResumePlan } from '../../messaging/resume/port.ts';
import type { ConnectFrame, RequestId, ResumeFrame } from './frame.ts';
import { FieldError, integer, text, type Fields } from './json-rpc-fields.ts';

/** Longer than any token, which is no reason to refuse the connection. */
const TOKEN_LENGTH_MAX = 32 * 1024;

/** Of a connect. */
export function resumeOf(params: Fields): NonNullable<ConnectFrame['resume']> {
  return { token: token(params, 'resume'), seen: seen(params) };
}

export function parseResume(ref: RequestId, params: Fields): ResumeFrame {
  return {
    ...{ kind: 'resume', ref, seen: seen(params) },
    channelId: text(params, 'channelId'),
    channelType: integer(params, 'channelType', {}),
    token: token(params, 'token'),
    cursor: text(params, 'cursor', ''),
  };
}

function token(params: Fields, name: string): string {
  const value = params[name];
  if (typeof value !== 'string' || value.length > TOKEN_LENGTH_MAX) {
    throw new FieldError(`${name}: expected a string of at most ${TOKEN_LENGTH_MAX} characters`);
  }
  return value;
}

function seen(params: Fields): readonly string[] {
  const value = params['seen'] ?? [];
  const fits =
    Array.isArray(value) &&
    value.length <= RESUME_SEEN_MAX &&
    value.every((id) => typeof id === 'string' && /^\d{1,20}$/.test(id));
  if (!fits) throw new FieldError(`seen: expected at most ${RESUME_SEEN_MAX} message ids`);
  return value as readonly string[];
}

/** What the answer to connect says; every channel that is not named is live. */
export interface ResumeView {
  /** Empty where none can be given now. */
  readonly token: string;
  readonly snapshot?: string | undefined;
  readonly live: number;
  readonly channels: readonly object[];
}

export function resumeView(plan: ResumePlan | undefined, given: string, uid: Uid): ResumeView {
  if (!plan) return { token: given, live: 0, channels: [] };
  const channels = plan.channels.map(([channel, how]) => ({
    channelId: channelIdFor(channel, uid),
    channelType: channelTypeOf(channel),
    ...how,
  }));
  return { token: given, snapshot: plan.snapshot, live: plan.live, channels };
}
