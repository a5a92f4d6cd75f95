import { createHash } from 'node:crypto';
import { PERSON, type ChannelKey, type Uid } from '../../core/ids.ts';
import { personChannel } from '../../core/placement.ts';
import type { PublishRequest, PublishResult, Services } from '../../messaging/port.ts';
import type { Random } from '../../runtime/port.ts';
import {
  fieldsOf,
  readChannelKey,
  readChannelType,
  readFlag,
  readInteger,
  readPayload,
  readText,
  readUid,
  readUids,
  type Fields,
} from '../body.ts';
import { badRequest, valueOf } from '../http-error.ts';
import type { ApiCalls, ApiContext } from '../port.ts';
import { makeKnown, subscribe, TEMPORARY } from './channels.ts';

const CLIENT_MSG_NO_LENGTH_MAX = 1024;
/** 32 bits on the wire. Seconds. */
const EXPIRE_MAX = 0xffff_ffff;

export function messageCalls(context: ApiContext): ApiCalls {
  return {
    async '/message/send'(body) {
      const fields = fieldsOf(body);
      const message = readMessage(fields, context);
      const receivers = readUids(fields, 'subscribers', context.uidsMax);
      if (receivers.length > 0) await gather(context.services, message.channel, receivers);
      return sentBody(valueOf(await context.services.publisher.publish(message)));
    },

    /** One direct message to each of the users; one that is refused leaves the others alone. */
    async '/message/sendbatch'(body) {
      const fields = fieldsOf(body);
      const content = readContent(fields, context.random);
      const receivers = readUids(fields, 'subscribers', context.uidsMax);
      if (receivers.length === 0) throw badRequest('subscribers: expected at least one uid');
      const failed: Uid[] = [];
      const reasons: string[] = [];
      for (let at = 0; at < receivers.length; at += SENDS_AT_ONCE) {
        const group = receivers.slice(at, at + SENDS_AT_ONCE);
        const outcomes = await Promise.all(
          group.map((uid) =>
            context.services.publisher.publish({
              ...content,
              channel: personChannel(content.sender, uid),
            }),
          ),
        );
        outcomes.forEach((outcome, index) => {
          if (outcome.ok) return;
          failed.push(group[index]!);
          reasons.push(`${outcome.message} (reason ${outcome.code})`);
        });
      }
      return JSON.stringify({ status: 200, fail_uids: failed, reason: reasons });
    },
  };
}

const LIST_DIGITS = 32;

/** Of a batch: enough to share flushes of the disk, few enough to leave others room. */
const SENDS_AT_ONCE = 256;

function readMessage(fields: Fields, { random, uidsMax }: ApiContext): PublishRequest {
  const sender = readUid(fields, 'from_uid');
  const receivers = readUids(fields, 'subscribers', uidsMax);
  const content = readContent(fields, random);
  if (receivers.length === 0) return { ...content, channel: readTarget(fields, sender) };
  if (fields['channel_id']) {
    throw badRequest('subscribers: expected none together with channel_id');
  }
  return { ...content, channel: listChannel(receivers) };
}

/** The same users in any order have the same channel, so that a retry finds what was sent. */
function listChannel(uids: readonly Uid[]): ChannelKey {
  const names = [...uids].sort().join('\n');
  const digest = createHash('sha256').update(names).digest('hex').slice(0, LIST_DIGITS);
  return `${TEMPORARY}/list-${digest}` as ChannelKey;
}

/** Who is in the channel already costs one look. */
async function gather(
  services: Services,
  channel: ChannelKey,
  receivers: readonly Uid[],
): Promise<void> {
  await makeKnown(services, channel);
  const { subscriptions } = services;
  const missing = receivers.filter((uid) => !subscriptions.isSubscribed(channel, uid));
  await subscribe(services, channel, missing);
}

/** All but where it goes. */
function readContent(fields: Fields, random: Random): Omit<PublishRequest, 'channel'> {
  const header = fieldsOf(fields['header'] ?? {}, 'header');
  const clientMsgNo = readText(fields, 'client_msg_no', {
    lengthMax: CLIENT_MSG_NO_LENGTH_MAX,
    fallback: '',
  });
  return {
    sender: readUid(fields, 'from_uid'),
    clientMsgNo: clientMsgNo === '' ? drawClientMsgNo(random) : clientMsgNo,
    payload: readPayload(fields, 'payload'),
    noPersist: readFlag(header, 'no_persist') ?? false,
    redDot: readFlag(header, 'red_dot') ?? false,
    syncOnce: readFlag(header, 'sync_once') ?? false,
    setting: 0,
    topic: '',
    expire: readInteger(fields, 'expire', { from: 0, to: EXPIRE_MAX, fallback: 0 }),
    cause: 'http',
  };
}

/** In a person channel `channel_id` is the receiver's uid. */
function readTarget(fields: Fields, sender: Uid): ChannelKey {
  const type = readChannelType(fields);
  return type === PERSON
    ? personChannel(sender, readUid(fields, 'channel_id'))
    : readChannelKey(fields, type);
}

function drawClientMsgNo(random: Random): string {
  return Buffer.from(random.bytes(16)).toString('hex');
}

/** By hand: JSON.stringify has no int64, and the digits have to be exact. */
function sentBody({ messageId, messageSeq, clientMsgNo, disks }: PublishResult): string {
  const clientNumber = JSON.stringify(clientMsgNo);
  return `{"status":200,"data":{"message_id":${messageId},"message_idstr":"${messageId}","message_seq":${messageSeq},"client_msg_no":${clientNumber},"disks":${disks}}}`;
}
