import { PERSON, type ChannelKey, type Uid } from '../../core/ids.ts';
import { personChannel } from '../../core/placement.ts';
import { HISTORY_LIMIT_MAX, type History } from '../../messaging/history/port.ts';
import { RECALL_REASON_LENGTH_MAX, type Recalls } from '../../messaging/recall/port.ts';
import {
  fieldsOf,
  readChannelKey,
  readChannelType,
  readChoice,
  readInteger,
  readMessageId,
  readText,
  readUid,
  type Fields,
} from '../body.ts';
import { badRequest, HttpError, OK, valueOf } from '../http-error.ts';
import { messageBody } from '../message-body.ts';
import type { ApiCalls, ApiContext } from '../port.ts';

const LIMIT_DEFAULT = 100;
const CLIENT_MSG_NO_LENGTH_MAX = 1024;
const SEQ = { from: 0, to: Number.MAX_SAFE_INTEGER, fallback: 0 } as const;
const NAMELESS = '' as Uid;

/** What was said before, and taking it back. The backend may both for everyone, without being a member. */
export function historyCalls(context: ApiContext): ApiCalls {
  return {
    async '/channel/messagesync'(body) {
      const fields = fieldsOf(body);
      const { channel, viewer } = readPlace(fields, 'login_uid');
      const startSeq = readInteger(fields, 'start_message_seq', SEQ);
      const endSeq = readInteger(fields, 'end_message_seq', SEQ);
      const limit = readLimit(fields);
      const pullMode = readInteger(fields, 'pull_mode', { from: 0, to: 1, fallback: 0 });
      // Without a range both modes mean the latest, as WuKongIM's do.
      const direction = pullMode === 1 && (startSeq > 0 || endSeq > 0) ? 'up' : 'down';
      const asked = { channel, startSeq, endSeq, limit, direction } as const;
      const page = await historyOf(context).page({ ...asked, commands: 'left-out' });
      const messages = page.messages.map((message) => messageBody(channel, message, viewer));
      return (
        `{"start_message_seq":${startSeq},"end_message_seq":${endSeq},"more":${page.more ? 1 : 0}` +
        (page.cutTo === undefined ? '' : `,"cut_to_message_seq":${page.cutTo}`) +
        `,"next_message_seq":${page.nextSeq},"messages":[${messages.join(',')}]}`
      );
    },

    async '/message/revoke'(body) {
      const fields = fieldsOf(body);
      const messageId = readMessageId(fields);
      const clientMsgNo = readText(fields, 'client_msg_no', {
        lengthMax: CLIENT_MSG_NO_LENGTH_MAX,
        fallback: '',
      });
      const sender = fields['from_uid'] ? readUid(fields, 'from_uid') : undefined;
      const { channel, viewer: operator } = readPlace(fields, 'operator');
      if (messageId === undefined && (clientMsgNo === '' || sender === undefined)) {
        throw badRequest('message_id: expected one, or client_msg_no together with from_uid');
      }
      const outcome = await recallsOf(context).recall({
        ...{ channel, messageId, clientMsgNo, sender },
        messageSeq: readInteger(fields, 'message_seq', SEQ),
        by: operator,
        as: readChoice(fields, 'as', ['api', 'user']) ?? 'api',
        reason: readText(fields, 'reason', { lengthMax: RECALL_REASON_LENGTH_MAX, fallback: '' }),
      });
      valueOf(outcome);
      return OK;
    },
  };
}

/**
 * The channel and whoever looks at it, who is named in `viewerField`. In a person channel `channel_id` is
 * the uid of the other one, as `from_uid`, where it is given, or the viewer sees it.
 */
function readPlace(fields: Fields, viewerField: string): { channel: ChannelKey; viewer: Uid } {
  const viewer = fields[viewerField] ? readUid(fields, viewerField) : NAMELESS;
  const type = readChannelType(fields);
  if (type !== PERSON) return { channel: readChannelKey(fields, type), viewer };
  const one = fields['from_uid'] ? readUid(fields, 'from_uid') : readUid(fields, viewerField);
  return { channel: personChannel(one, readUid(fields, 'channel_id')), viewer };
}

/** 0 is what an unset field is in the backends' languages; more than the most is the most. */
function readLimit(fields: Fields): number {
  const limit = readInteger(fields, 'limit', SEQ);
  return limit === 0 ? LIMIT_DEFAULT : Math.min(limit, HISTORY_LIMIT_MAX);
}

function historyOf({ services }: ApiContext): History {
  if (services.history) return services.history;
  throw new HttpError(503, 'this node keeps no history');
}

function recallsOf({ services }: ApiContext): Recalls {
  if (services.recalls) return services.recalls;
  throw new HttpError(503, 'this node takes no messages back');
}
