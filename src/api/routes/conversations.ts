import {
  channelTypeOf,
  parseChannelType,
  PERSON,
  type ChannelKey,
  type Uid,
} from '../../core/ids.ts';
import { UNREAD_MAX } from '../../core/kinds/cursor.ts';
import { channelIdFor, personChannel } from '../../core/placement.ts';
import type { Conversation, Conversations } from '../../messaging/conversations/port.ts';
import {
  fieldsOf,
  readChannelKey,
  readChannelType,
  readFlag,
  readInteger,
  readText,
  readUid,
  type Fields,
} from '../body.ts';
import { badRequest, HttpError, OK, valueOf } from '../http-error.ts';
import { messageBody } from '../message-body.ts';
import type { ApiCalls, ApiContext } from '../port.ts';

const RECENTS_MAX = 200;
/** All recent messages of one answer; conversations after that come without theirs. */
const RECENTS_TOTAL_MAX = 10_000;
const LAST_SEQS_LENGTH_MAX = 1024 * 1024;

export function conversationCalls(context: ApiContext): ApiCalls {
  return {
    async '/conversation/sync'(body) {
      const fields = fieldsOf(body);
      const uid = readUid(fields, 'uid');
      const version = readInteger(fields, 'version', { ...SAFE, fallback: 0 });
      const recents = readInteger(fields, 'msg_count', { from: 0, to: RECENTS_MAX, fallback: 0 });
      const onlyUnread = readFlag(fields, 'only_unread') ?? false;
      const known = readLastSeqs(fields);
      const list = await conversationsOf(context).list({ uid, version, onlyUnread });
      let left = RECENTS_TOTAL_MAX;
      const bodies: string[] = [];
      for (const one of list.conversations) {
        const after = Math.max(one.hiddenTo, known.get(nameOf(one.channel, uid)) ?? 0);
        const limit = Math.min(recents, left);
        const messages = limit > 0 ? await recentsOf(context, { uid, one, after, limit }) : [];
        left -= messages.length;
        const recalls = await recallsOf(context, { uid, one, version });
        bodies.push(conversationBody(one, uid, { messages, recalls }));
      }
      return `[${bodies.join(',')}]`;
    },

    async '/conversations/clearUnread'(body) {
      const { fields, uid, channel } = readPlace(body);
      const seq = readInteger(fields, 'message_seq', { ...SAFE, fallback: 0 });
      valueOf(await conversationsOf(context).read(uid, channel, seq === 0 ? undefined : seq));
      return OK;
    },

    async '/conversations/setUnread'(body) {
      const { fields, uid, channel } = readPlace(body);
      const unread = readInteger(fields, 'unread', { from: 0, to: UNREAD_MAX });
      valueOf(await conversationsOf(context).setUnread(uid, channel, unread));
      return OK;
    },

    async '/conversations/delete'(body) {
      const { uid, channel } = readPlace(body);
      valueOf(await conversationsOf(context).hide(uid, channel));
      return OK;
    },
  };
}

const SAFE = { from: 0, to: Number.MAX_SAFE_INTEGER } as const;

function conversationsOf({ services }: ApiContext): Conversations {
  if (services.conversations) return services.conversations;
  throw new HttpError(503, 'this node keeps no conversations');
}

/** Whose conversation: in a person channel `channel_id` is the other one's uid. */
function readPlace(body: unknown): { fields: Fields; uid: Uid; channel: ChannelKey } {
  const fields = fieldsOf(body);
  const uid = readUid(fields, 'uid');
  const type = readChannelType(fields);
  const channel =
    type === PERSON
      ? personChannel(uid, readUid(fields, 'channel_id'))
      : readChannelKey(fields, type);
  return { fields, uid, channel };
}

/** `channel:type:seq|…`: what the client has; the id may hold colons itself. */
function readLastSeqs(fields: Fields): ReadonlyMap<string, number> {
  const text = readText(fields, 'last_msg_seqs', { lengthMax: LAST_SEQS_LENGTH_MAX, fallback: '' });
  const known = new Map<string, number>();
  if (text === '') return known;
  text.split('|').forEach((part, index) => {
    const found = /^(.+):(\d{1,2}):(\d{1,16})$/.exec(part);
    const seq = Number(found?.[3]);
    if (!found || !parseChannelType(Number(found[2])).ok || !Number.isSafeInteger(seq)) {
      throw badRequest(
        `last_msg_seqs[${index}]: expected channel:type:seq, found ${JSON.stringify(part.slice(0, 80))}`,
      );
    }
    known.set(`${found[2]}/${found[1]}`, seq);
  });
  return known;
}

function nameOf(channel: ChannelKey, viewer: Uid): string {
  return `${channelTypeOf(channel)}/${channelIdFor(channel, viewer)}`;
}

interface Recents {
  readonly uid: Uid;
  readonly one: Conversation;
  readonly after: number;
  readonly limit: number;
}

/** The newest first, above what the client has. */
async function recentsOf(
  { services }: ApiContext,
  { uid, one: { channel, last }, after, limit }: Recents,
): Promise<readonly string[]> {
  if (limit === 1) return last.messageSeq > after ? [messageBody(channel, last, uid)] : [];
  const asked = { channel, startSeq: 0, endSeq: after, limit, direction: 'down' } as const;
  const page = await services.history?.page({ ...asked, commands: 'left-out' });
  return (page?.messages ?? []).toReversed().map((message) => messageBody(channel, message, uid));
}

/** What the client may have a copy of, from before it was away; ours, and absent where there is none. */
async function recallsOf(
  context: ApiContext,
  { uid, one, version }: Pick<Recents, 'uid' | 'one'> & { readonly version: number },
): Promise<readonly string[]> {
  if (version === 0 || one.recallVersion <= version) return [];
  const found = await conversationsOf(context).recalledSince(one.channel, version);
  return found.map((message) => messageBody(one.channel, message, uid));
}

interface Bodies {
  readonly messages: readonly string[];
  readonly recalls: readonly string[];
}

function conversationBody(one: Conversation, uid: Uid, { messages, recalls }: Bodies): string {
  const fields = {
    channel_id: channelIdFor(one.channel, uid),
    channel_type: channelTypeOf(one.channel),
    unread: one.unread,
    mention_count: one.mentions,
    timestamp: one.last.timestamp,
    last_msg_seq: one.last.messageSeq,
    last_client_msg_no: one.last.clientMsgNo,
    offset_msg_seq: one.hiddenTo,
    readed_to_msg_seq: one.readSeq,
    version: one.version,
  };
  const recalled = recalls.length > 0 ? `,"recalls":[${recalls.join(',')}]` : '';
  return `${JSON.stringify(fields).slice(0, -1)}${recalled},"recents":[${messages.join(',')}]}`;
}
