import type { Uid } from '../../core/ids.ts';

const decoder = new TextDecoder();
const FIELD = Buffer.from('"mention"');

/** Whom a message names. */
export interface Mention {
  readonly all: boolean;
  readonly uids: readonly unknown[];
}

export function isNamed(mention: Mention | undefined, uid: Uid): boolean {
  return mention !== undefined && (mention.all || mention.uids.includes(uid));
}

/**
 * Whom a message names, as WuKongIM's clients write it: a JSON payload with `mention: {all: 1, uids: [...]}`.
 * A payload without the word, which nearly all are, costs its search; one that is no JSON names nobody.
 */
export function mentionIn(payload: Uint8Array): Mention | undefined {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (!bytes.includes(FIELD)) return undefined;
  let content: unknown;
  try {
    content = JSON.parse(decoder.decode(payload));
  } catch {
    return undefined;
  }
  const mention = (content as { readonly mention?: unknown } | null)?.mention;
  if (typeof mention !== 'object' || mention === null) return undefined;
  const { all, uids } = mention as { readonly all?: unknown; readonly uids?: unknown };
  return { all: all === 1 || all === true, uids: Array.isArray(uids) ? (uids as unknown[]) : [] };
}
