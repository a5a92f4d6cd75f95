import type { Uid } from '../../core/ids.ts';

const decoder = new TextDecoder();
const FIELD = Buffer.from('"mention"');

/**
 * Whether a message names the user, as WuKongIM's clients write it: a JSON payload with
 * `mention: {all: 1, uids: [...]}`. A payload without the word, which nearly all are, costs its search; one
 * that is no JSON names nobody.
 */
export function isMentioned(payload: Uint8Array, uid: Uid): boolean {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (!bytes.includes(FIELD)) return false;
  let content: unknown;
  try {
    content = JSON.parse(decoder.decode(payload));
  } catch {
    return false;
  }
  const mention = (content as { readonly mention?: unknown } | null)?.mention;
  if (typeof mention !== 'object' || mention === null) return false;
  const { all, uids } = mention as { readonly all?: unknown; readonly uids?: unknown };
  return all === 1 || all === true || (Array.isArray(uids) && uids.includes(uid));
}
