import { Packr } from 'msgpackr';
import { parseActorId, type ActorId } from '../core/ids.ts';
import { splitRowKey, type RowKey } from '../core/row-key.ts';
import { WEBHOOK_EVENTS, type WebhookEventType } from './port.ts';

/** What happened, until a receiver has it. */
export interface OutboxEvent {
  /** The same wherever the event is found again, so that a receiver can tell what it has. */
  readonly id: string;
  readonly type: WebhookEventType;
  /** The run of the node that delivers it, as long as it runs. */
  readonly author: ActorId;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly content: EventContent;
  /** An operator wants it once more: that it was settled before says nothing. */
  readonly replayed?: true | undefined;
}

/**
 * An event of a message names its row, which every replica has: the event is cheap, and what was recalled
 * or removed meanwhile is not sent. Others carry their text: JSON, or a line of user.onlinestatus.
 */
export type EventContent =
  | { readonly kind: 'message'; readonly key: RowKey }
  | { readonly kind: 'text'; readonly text: string };

export const ID_LENGTH_MAX = 160;
const TEXT_LENGTH_MAX = 16_384;
const ID = /^[\x21-\x2b\x2d-\x7e]+$/;
const codec = new Packr({ useRecords: false });

export function encodeEvent(event: OutboxEvent): Uint8Array {
  return codec.pack(eventFields(event));
}

/** As it travels between members too. */
export function eventFields({
  id,
  type,
  author,
  atMs,
  content,
  replayed,
}: OutboxEvent): readonly unknown[] {
  const isMessage = content.kind === 'message';
  return [
    id,
    WEBHOOK_EVENTS.indexOf(type),
    author,
    atMs,
    isMessage ? 0 : 1,
    isMessage ? content.key : content.text,
    ...(replayed ? [true] : []),
  ];
}

/** Undefined where the bytes are no event. */
export function decodeEvent(bytes: Uint8Array): OutboxEvent | undefined {
  try {
    return readEvent(codec.unpack(bytes));
  } catch {
    return undefined;
  }
}

/** Undefined where it is no event: a peer may be of another release. */
export function readEvent(fields: unknown): OutboxEvent | undefined {
  if (!Array.isArray(fields) || fields.length < 6) return undefined;
  const [id, type, author, atMs, kind, about, replayed] = fields as readonly unknown[];
  const known = typeof type === 'number' ? WEBHOOK_EVENTS[type] : undefined;
  const actor = parseActorId(author);
  if (!isEventId(id) || known === undefined || !actor.ok) return undefined;
  if (typeof atMs !== 'number' || !Number.isFinite(atMs) || typeof about !== 'string') {
    return undefined;
  }
  const again = replayed === true ? { replayed: true as const } : {};
  const base = { id, type: known, author: actor.value, atMs, ...again };
  if (kind === 0) {
    const parts = splitRowKey(about);
    if (parts?.kind !== 'm' || parts.parts.length !== 3) return undefined;
    return { ...base, content: { kind: 'message', key: about as RowKey } };
  }
  if (kind !== 1 || about.length > TEXT_LENGTH_MAX) return undefined;
  return { ...base, content: { kind: 'text', text: about } };
}

/** Fit for a header: no space, no comma. */
export function isEventId(id: unknown): id is string {
  return typeof id === 'string' && id.length <= ID_LENGTH_MAX && ID.test(id);
}

/** JSON of an event that is not a message's; its text is cut by whoever makes it. */
export function textFits(text: string): boolean {
  return text.length <= TEXT_LENGTH_MAX;
}
