import { isObject, wholeOf } from './values.ts';
import type { KnownMessages } from './known-messages.ts';
import { numberOf } from './known-messages.ts';
import { segmentsOf, payloadOf, readMessage } from './segments.ts';
import type { BotAccount, BotMessage, BotWorld, Numbers, Place } from './port.ts';

/** What an action needs of its bot. */
export interface ActionGround {
  readonly uid: string;
  readonly version: string;
  readonly account: Pick<BotAccount, 'send' | 'recall' | 'recent'>;
  readonly world: Omit<BotWorld, 'open' | 'watchMembers'>;
  readonly numbers: Numbers;
  readonly messages: KnownMessages;
  readonly isOnline: () => boolean;
  readonly wallMs: () => number;
}

export type Params = Readonly<Record<string, unknown>>;
type Action = (ground: ActionGround, params: Params) => Promise<unknown>;

/** 1400: the request is wrong. 1404: what it names is not there. */
export class ActionError extends Error {
  override readonly name = 'ActionError';
  readonly retcode: number;

  constructor(retcode: 1400 | 1404 | 1500, message: string) {
    super(message);
    this.retcode = retcode;
  }
}

const PERSON = 1;
const GROUP = 2;
/** Channels looked through for a message that is not among the newest, and messages of each. */
const PLACES_MAX = 100;
const RECENT_MAX = 50;

const ACTIONS: Readonly<Record<string, Action>> = {
  get_login_info: async (ground) => profileOf(ground, ground.uid),
  get_status: async ({ isOnline }) => ({ online: isOnline(), good: isOnline() }),
  get_version_info: async ({ version }) => ({
    ...{ app_name: 'holdfast', app_version: version, protocol_version: 'v11' },
  }),
  can_send_image: async () => ({ yes: false }),
  can_send_record: async () => ({ yes: false }),
  send_msg: (ground, params) => {
    const type = params['message_type'];
    const isGroup = type === 'group' || (type === undefined && params['group_id'] !== undefined);
    return send(ground, isGroup ? groupOf(ground, params) : personOf(ground, params), params);
  },
  send_private_msg: (ground, params) => send(ground, personOf(ground, params), params),
  send_group_msg: (ground, params) => send(ground, groupOf(ground, params), params),
  async delete_msg(ground, params) {
    const message = await find(ground, params);
    await ground.account.recall(message, message);
    return null;
  },
  async get_msg(ground, params) {
    const message = await find(ground, params);
    return {
      ...{ time: message.timestamp, real_id: numberOf(message, message.messageSeq) },
      message_type: message.channelType === PERSON ? 'private' : 'group',
      message_id: numberOf(message, message.messageSeq),
      sender: profileOf(ground, message.fromUid),
      message: segmentsOf(message.payload),
    };
  },
  async get_friend_list(ground) {
    const partners = await ground.world.partnersOf(ground.uid);
    return partners.map((uid) => ({ ...profileOf(ground, uid), remark: '' }));
  },
  get_stranger_info: async (ground, params) => ({
    ...profileOf(ground, personOf(ground, params).channelId),
    ...{ sex: 'unknown', age: 0 },
  }),
  async get_group_list(ground) {
    const groups = await ground.world.groupsOf(ground.uid);
    return Promise.all(groups.map((group) => groupInfo(ground, group)));
  },
  get_group_info: (ground, params) => groupInfo(ground, groupOf(ground, params).channelId),
  async get_group_member_list(ground, params) {
    const { channelId } = groupOf(ground, params);
    const members = await ground.world.membersOf(channelId);
    return members.map((uid) => memberOf(ground, channelId, uid));
  },
  async get_group_member_info(ground, params) {
    const { channelId } = groupOf(ground, params);
    const { channelId: uid } = personOf(ground, params);
    const members = await ground.world.membersOf(channelId);
    if (!members.includes(uid)) throw new ActionError(1404, 'user_id: is no member of the group');
    return memberOf(ground, channelId, uid);
  },
  async set_group_kick(ground, params) {
    await ground.world.kick(groupOf(ground, params).channelId, personOf(ground, params).channelId);
    return null;
  },
};

export function actionOf(name: string): Action | undefined {
  return Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
}

async function send(ground: ActionGround, to: Place, params: Params): Promise<unknown> {
  const segments = readMessage(params['message'], params['auto_escape'] === true);
  if (!segments)
    throw new ActionError(1400, 'message: expected text, a segment or an array of them');
  const payload = payloadOf(segments);
  const { messageId, messageSeq } = await ground.account.send(to, payload);
  const timestamp = Math.floor(ground.wallMs() / 1000);
  const sent = { ...to, messageId, messageSeq, fromUid: ground.uid, timestamp, payload };
  return { message_id: ground.messages.note(sent) };
}

async function find(ground: ActionGround, params: Params): Promise<BotMessage> {
  const number = wholeOf(params['message_id']);
  if (number === undefined) throw new ActionError(1400, 'message_id: expected a number');
  const known = ground.messages.get(number);
  if (known) return known;
  const { world, account, uid } = ground;
  const groups = (await world.groupsOf(uid)).map((channelId) => ({
    channelId,
    channelType: GROUP,
  }));
  const people = (await world.partnersOf(uid)).map((channelId) => ({
    ...{ channelId, channelType: PERSON },
  }));
  for (const place of [...groups, ...people].slice(0, PLACES_MAX)) {
    const recent = await account.recent(place, RECENT_MAX);
    const found = recent.find(({ messageSeq }) => numberOf(place, messageSeq) === number);
    if (found) return found;
  }
  throw new ActionError(1404, 'message_id: no message of this number is known');
}

function groupOf({ numbers }: ActionGround, params: Params): Place {
  return { channelId: nameIn(numbers, 'group', params['group_id']), channelType: GROUP };
}

function personOf({ numbers }: ActionGround, params: Params): Place {
  return { channelId: nameIn(numbers, 'user', params['user_id']), channelType: PERSON };
}

function nameIn(numbers: Numbers, space: 'user' | 'group', value: unknown): string {
  const number = wholeOf(value);
  if (number === undefined) throw new ActionError(1400, `${space}_id: expected a number`);
  const name = numbers.nameOf(space, number);
  if (name === undefined)
    throw new ActionError(1404, `${space}_id: ${number} is nobody known here`);
  return name;
}

function profileOf({ numbers }: ActionGround, uid: string) {
  return { user_id: numbers.numberOf('user', uid), nickname: uid };
}

async function groupInfo({ numbers, world }: ActionGround, group: string): Promise<unknown> {
  const members = await world.membersOf(group);
  return {
    ...{ group_id: numbers.numberOf('group', group), group_name: group },
    ...{ member_count: members.length, max_member_count: 0 },
  };
}

function memberOf(ground: ActionGround, group: string, uid: string): unknown {
  return {
    group_id: ground.numbers.numberOf('group', group),
    ...{ ...profileOf(ground, uid), card: '', sex: 'unknown', age: 0, area: '', role: 'member' },
    ...{ join_time: 0, last_sent_time: 0, level: '', unfriendly: false, title: '' },
    ...{ title_expire_time: 0, card_changeable: false },
  };
}

export interface Reply {
  readonly status: 'ok' | 'async' | 'failed';
  readonly retcode: number;
  readonly data: unknown;
  readonly message?: string;
  readonly echo?: unknown;
}

/** Answers one frame of the API; never rejects. */
export async function perform(ground: ActionGround, frame: unknown): Promise<Reply> {
  if (!isObject(frame) || typeof frame['action'] !== 'string') {
    return failed(1400, 'expected an object with an action', isObject(frame) ? frame : {});
  }
  const isAsync = frame['action'].endsWith('_async');
  const name = frame['action'].replace(/_(?:async|rate_limited)$/, '');
  const params = isObject(frame['params']) ? frame['params'] : {};
  if (name === '.handle_quick_operation') return quick(ground, params, frame);
  const action = actionOf(name);
  if (!action) return failed(1404, `${name}: unknown action`, frame);
  if (isAsync) {
    action(ground, params).catch(() => {});
    return withEcho({ status: 'async', retcode: 1, data: null }, frame);
  }
  try {
    return withEcho({ status: 'ok', retcode: 0, data: await action(ground, params) }, frame);
  } catch (error) {
    const { retcode = 1500, message } = error as Partial<ActionError> & Error;
    return failed(retcode, message, frame);
  }
}

/** The reply that a handler of an event gives in passing. */
async function quick(ground: ActionGround, params: Params, frame: Params): Promise<Reply> {
  const { context, operation } = params;
  if (!isObject(context) || !isObject(operation)) {
    return failed(1400, 'expected context and operation', frame);
  }
  const { reply } = operation;
  if (reply !== undefined && reply !== '') {
    const { group_id, user_id } = context;
    const to = group_id === undefined ? { user_id } : { group_id };
    const asked = { action: 'send_msg', params: { ...to, message: reply }, echo: frame['echo'] };
    return perform(ground, 'echo' in frame ? asked : { ...asked, echo: undefined });
  }
  return withEcho({ status: 'ok', retcode: 0, data: null }, frame);
}

function failed(retcode: number, message: string, frame: Params): Reply {
  return withEcho({ status: 'failed', retcode, data: null, message }, frame);
}

/** Verbatim, and left out where there was none: some clients stop at a failure with an echo of null. */
function withEcho(reply: Reply, frame: Params): Reply {
  return frame['echo'] === undefined ? reply : { ...reply, echo: frame['echo'] };
}
