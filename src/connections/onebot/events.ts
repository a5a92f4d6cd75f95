import { formatCodes, segmentsOf } from './segments.ts';
import type { KnownMessages } from './known-messages.ts';
import type { BotMessage, BotRecall, BotWorld, MemberChange, Numbers } from './port.ts';

export type OneBotEvent = Readonly<Record<string, unknown>>;

const PERSON = 1;
const GROUP = 2;

export interface EventGround {
  readonly numbers: Numbers;
  readonly messages: Pick<KnownMessages, 'numberOf'>;
  readonly roleOf: BotWorld['roleOf'];
}

/** The events of one bot. Times are in seconds. */
export class Events {
  readonly #numbers: Numbers;
  readonly #messages: Pick<KnownMessages, 'numberOf'>;
  readonly #roleOf: BotWorld['roleOf'];
  readonly selfId: number;

  constructor(uid: string, { numbers, messages, roleOf }: EventGround) {
    this.#numbers = numbers;
    this.#messages = messages;
    this.#roleOf = roleOf;
    this.selfId = numbers.numberOf('user', uid);
  }

  lifecycle(kind: 'connect' | 'enable' | 'disable', wallMs: number): OneBotEvent {
    return this.#meta(wallMs, { meta_event_type: 'lifecycle', sub_type: kind });
  }

  heartbeat(wallMs: number, intervalMs: number, online: boolean): OneBotEvent {
    const status = { online, good: online };
    return this.#meta(wallMs, { meta_event_type: 'heartbeat', status, interval: intervalMs });
  }

  /** Undefined for a channel that is neither private nor a group. */
  message(message: BotMessage): OneBotEvent | undefined {
    const { channelType, channelId, fromUid, timestamp, payload } = message;
    if (channelType !== PERSON && channelType !== GROUP) return undefined;
    const user_id = this.#numbers.numberOf('user', fromUid);
    const segments = segmentsOf(payload);
    const common = {
      ...{ time: timestamp, self_id: this.selfId, post_type: 'message' },
      message_id: this.#messages.numberOf(message),
      ...{ user_id, message: segments, raw_message: formatCodes(segments), font: 0 },
    };
    const sender = { user_id, nickname: fromUid, sex: 'unknown', age: 0 };
    if (channelType === PERSON) {
      return { ...common, message_type: 'private', sub_type: 'friend', sender };
    }
    return {
      ...{ ...common, message_type: 'group', sub_type: 'normal' },
      group_id: this.#numbers.numberOf('group', channelId),
      anonymous: null,
      sender: {
        ...sender,
        card: '',
        area: '',
        level: '',
        title: '',
        role: this.#roleOf(channelId, fromUid),
      },
    };
  }

  recall(recall: BotRecall, wallMs: number): OneBotEvent | undefined {
    const { channelType, channelId, fromUid, by } = recall;
    const common = {
      ...{ time: Math.floor(wallMs / 1000), self_id: this.selfId, post_type: 'notice' },
      user_id: this.#numbers.numberOf('user', fromUid),
      message_id: this.#messages.numberOf(recall),
    };
    if (channelType === PERSON) return { ...common, notice_type: 'friend_recall' };
    if (channelType !== GROUP) return undefined;
    return {
      ...{ ...common, notice_type: 'group_recall' },
      group_id: this.#numbers.numberOf('group', channelId),
      operator_id: this.#numbers.numberOf('user', by === '' ? fromUid : by),
    };
  }

  member({ group, uid, how, by }: MemberChange, wallMs: number): OneBotEvent {
    const user_id = this.#numbers.numberOf('user', uid);
    const gone =
      user_id === this.selfId && how === 'kicked' ? 'kick_me' : how === 'left' ? 'leave' : 'kick';
    return {
      ...{ time: Math.floor(wallMs / 1000), self_id: this.selfId, post_type: 'notice' },
      notice_type: how === 'joined' ? 'group_increase' : 'group_decrease',
      sub_type: how === 'joined' ? 'approve' : gone,
      // Who else did it is in the operation log and in no row.
      operator_id: by === undefined ? user_id : this.#numbers.numberOf('user', by),
      ...{ group_id: this.#numbers.numberOf('group', group), user_id },
    };
  }

  #meta(wallMs: number, fields: OneBotEvent): OneBotEvent {
    const time = Math.floor(wallMs / 1000);
    return { time, self_id: this.selfId, post_type: 'meta_event', ...fields };
  }
}
