import { z } from 'zod';
import { LOGGED_ACTIONS } from '../operations/port.ts';

/**
 * What one member knows of one user in one channel, layer by layer. Members send it to each other, so
 * whoever reads it checks it: a peer may be of another release. Absent fields: that layer cannot tell.
 */
const span = z.object({ actor: z.string(), from: z.number(), to: z.number() });

const entry = z.object({
  actor: z.string(),
  counter: z.number(),
  hlc: z.number(),
  /** 255: the evidence of a removal. */
  tag: z.number(),
  context: z.array(span).max(4096),
});

const denial = z.object({
  /** ban, mute, blacklist; of the channel itself: channel ban, channel disband, channel send_ban. */
  reason: z.string(),
  entries: z.array(entry),
});

const session = z.object({
  id: z.number(),
  /** 0 app, 1 web, 2 desktop. */
  deviceFlag: z.number(),
  deviceId: z.string(),
  protocol: z.string(),
  remoteAddress: z.string(),
  connectedAtMs: z.number(),
  /** Whether its socket is really in the channel's topic. */
  joined: z.boolean().optional(),
  /** Topics that the socket is really in. */
  topics: z.number().optional(),
  /** Unsent bytes. */
  queueBytes: z.number().optional(),
});

const lastMessage = z.object({
  messageSeq: z.number(),
  messageId: z.string(),
  fromUid: z.string(),
  atMs: z.number(),
});

const interest = z.object({
  member: z.string(),
  channel: z.boolean(),
  /** Devices of the user that the other member has announced. */
  devices: z.number(),
});

const peer = z.object({
  member: z.string(),
  live: z.boolean(),
  lagging: z.boolean(),
  /** Writes known to be missing on the member that tells, which the peer has. */
  behind: z.number(),
  lastError: z.string(),
  /** Since the shard was last proved equal. */
  unverifiedMs: z.number().optional(),
  /** Until the next sweep with the peer. */
  sweepDueMs: z.number().optional(),
});

const logEntry = z.object({
  atMs: z.number(),
  action: z.enum(LOGGED_ACTIONS),
  cause: z.string(),
  channel: z.string(),
  uid: z.string(),
  dot: z.string(),
  result: z.string(),
  detail: z.string(),
});

export const logEntries = z.array(logEntry).max(10_000);

export const memberFacts = z.object({
  member: z.string(),
  atMs: z.number(),
  /** This run of the member. */
  actor: z.string(),
  store: z.object({ state: z.enum(['ok', 'failing']), error: z.string() }),
  /** False while its store is catching up with the cluster. */
  mayWrite: z.boolean(),
  shard: z.number(),
  /** The writes of the shard that it has seen: tells what it lost from what it has not got yet. */
  seen: z.array(span).max(4096),
  row: z.object({
    /** The bytes are there and cannot be read. */
    damaged: z.boolean(),
    entries: z.array(entry),
    /** The row of the user's own list, by which a session finds its channels. */
    reverse: z.boolean(),
  }),
  denials: z.array(denial),
  /** Of the users who are connected here only. */
  index: z.enum(['offline', 'loading', 'joined', 'absent']),
  sessions: z.array(session),
  last: lastMessage.optional(),
  interest: z.array(interest),
  peers: z.array(peer),
  history: logEntries,
});

export type MemberFacts = z.infer<typeof memberFacts>;
export type EntryFacts = z.infer<typeof entry>;
export type SessionFacts = z.infer<typeof session>;
export type PeerFacts = z.infer<typeof peer>;

/** A peer's answer; throws where it is none. */
export function parseFacts(body: unknown): MemberFacts {
  const parsed = memberFacts.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new TypeError(`facts: ${issue?.path.join('.')}: ${issue?.message}`);
}
