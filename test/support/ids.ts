import { parseChannelKey, parseUid, type ChannelKey, type Uid } from '../../src/core/ids.ts';

/** Ids of tests; throw where the text is not allowed. */
export function uid(text: string): Uid {
  const parsed = parseUid(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

export function group(id: string): ChannelKey {
  const parsed = parseChannelKey(id, 2);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
