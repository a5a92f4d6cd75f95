import { parseDot, type Dot } from '../core/dot.ts';
import { parseChannelKey, parseUid, PERSON, type ChannelKey, type Uid } from '../core/ids.ts';
import { personChannel, personsOf } from '../core/placement.ts';
import type { WaitFor } from '../messaging/port.ts';
import { invalid, take } from './errors.ts';
import type { WaitForName } from './messages.ts';

/** Parsers from the messages of the wire to what the services take. They throw INVALID_ARGUMENT. */

export interface ChannelFields {
  readonly channelId: string;
  readonly channelType: number;
}

/** Names of the request fields, for errors. */
export interface ChannelFieldNames {
  readonly id: string;
  readonly type: string;
}

const PLAIN_NAMES: ChannelFieldNames = { id: 'channel_id', type: 'channel_type' };

export function readChannel(fields: ChannelFields, names = PLAIN_NAMES): ChannelKey {
  const { channelId, channelType } = fields;
  const parsed = parseChannelKey(channelId, channelType);
  if (!parsed.ok) {
    return take(parsed, parsed.error.startsWith('channelType') ? names.type : names.id);
  }
  if (channelType === PERSON) checkPersons(parsed.value, names.id);
  return parsed.value;
}

/** A pair in the wrong order would be another channel that nobody ever publishes to. */
function checkPersons(channel: ChannelKey, field: string): void {
  const persons = personsOf(channel);
  if (!persons) throw invalid(field, 'a person channel is the pair of its uids, as "a@b"');
  const [a, b] = [take(parseUid(persons[0]), field), take(parseUid(persons[1]), field)];
  const stored = personChannel(a, b);
  if (stored !== channel) {
    throw invalid(field, `this pair is stored as ${JSON.stringify(stored.slice(2))}`);
  }
}

export function readUids(uids: readonly string[], max: number, field = 'uids'): Uid[] {
  if (uids.length === 0) throw invalid(field, 'is empty');
  if (uids.length > max) throw invalid(field, `${uids.length} entries, at most ${max}`);
  return uids.map((uid, i) => {
    const parsed = parseUid(uid);
    return parsed.ok ? parsed.value : take(parsed, `${field}[${i}]`);
  });
}

export function readReceipts(receipts: readonly string[], max: number): Dot[] {
  if (receipts.length > max)
    throw invalid('receipts', `${receipts.length} entries, at most ${max}`);
  return receipts.map((text, i) => {
    const dot = parseDot(text);
    if (dot) return dot;
    const found = JSON.stringify(text.slice(0, 80));
    throw invalid(
      `receipts[${i}]`,
      `expected actor:shard:counter as a reply gave it, found ${found}`,
    );
  });
}

export function readWaitFor(name: WaitForName): WaitFor {
  switch (name) {
    case 'WAIT_FOR_UNSPECIFIED':
    case 'WAIT_FOR_ALL':
      return 'all';
    case 'WAIT_FOR_QUORUM':
      return 'quorum';
    case 'WAIT_FOR_LOCAL':
      return 'local';
    default:
      // The decoder passes numbers on that it has no name for.
      throw invalid('wait_for', `${String(name satisfies never)} is not a value of WaitFor`);
  }
}

export function waitForName(reached: WaitFor): WaitForName {
  if (reached === 'all') return 'WAIT_FOR_ALL';
  return reached === 'quorum' ? 'WAIT_FOR_QUORUM' : 'WAIT_FOR_LOCAL';
}

/** The length in characters; longer text is refused. */
export function readText(text: string, field: string, max: number): string {
  if (text.length > max) throw invalid(field, `${text.length} characters, at most ${max}`);
  return text;
}
