import { isObject, wholeOf } from './values.ts';
import type { KnownMessages } from './known-messages.ts';
import { mayBeCalled } from './known-messages.ts';
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

/** 1400: the request is wrong, or what it names is not there. 1500: the cluster refused it. */
export class ActionError extends Error {
  override readonly name = 'ActionError';
  readonly retcode: number;

  constructor(retcode: 1400 | 1500, message: string) {
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
  async send_msg(ground, params) {
    const type = params['message_type'];
    if (type !== undefined && type !== 'group' && type !== 'private') {
      throw new ActionError(1400, 'message_type: expected group or private');
    }
    const isGroup = type === 'group' || (type === undefined && params['group_id'] !== undefined);
    return send(ground, isGroup ? groupOf(ground, params) : personOf(ground, params), params);
  },
  send_private_msg: async (ground, params) => send(ground, personOf(ground, params), params),
  send_group_msg: async (ground, params) => send(ground, groupOf(ground, params), params),
  async delete_msg(ground, params) {
    const message = await find(ground, params);
    await ground.account.recall(message, message);
    ground.messages.recalled(message);
    return null;
  },
  async get_msg(ground, params) {
    const message = await find(ground, params);
    return {
      ...{ time: message.timestamp, real_id: ground.messages.numberOf(message) },
      message_type: message.channelType === PERSON ? 'private' : 'group',
      message_id: ground.messages.numberOf(message),
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
  get_group_info: async (ground, params) => groupInfo(ground, groupOf(ground, params).channelId),
  async get_group_member_list(ground, params) {
    const { channelId } = groupOf(ground, params);
    const members = await membersOf(ground, channelId);
    return members.map((uid) => memberOf(ground, channelId, uid));
  },
  async get_group_member_info(ground, params) {
    const { channelId } = groupOf(ground, params);
    const { channelId: uid } = personOf(ground, params);
    const members = await membersOf(ground, channelId);
    if (!members.includes(uid)) throw new ActionError(1400, 'user_id: is no member of the group');
    return memberOf(ground, channelId, uid);
  },
  async set_group_kick(ground, params) {
    const { channelId: group } = groupOf(ground, params);
    const { channelId: uid } = personOf(ground, params);
    await mayKick(ground, group, uid);
    await ground.world.kick(group, uid, ground.uid);
    return null;
  },
};

export function actionOf(name: string): Action | undefined {
  return Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
}

async function send(ground: ActionGround, to: Place, params: Params): Promise<unknown> {
  const segments = readMessage(params['message'], params['auto_escape'] === true);
  if (!segments || segments.every(({ type, data }) => type === 'text' && data['text'] === '')) {
    throw new ActionError(1400, 'message: expected text, a segment or an array of them');
  }
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
  if (ground.messages.wasRecalled(number)) {
    throw new ActionError(1400, 'message_id: the message has been taken back');
  }
  const { world, account, uid } = ground;
  const groups = (await world.groupsOf(uid)).map((channelId) => ({
    channelId,
    channelType: GROUP,
  }));
  const people = (await world.partnersOf(uid)).map((channelId) => ({
    ...{ channelId, channelType: PERSON },
  }));
  const found: BotMessage[] = [];
  for (const place of [...groups, ...people].slice(0, PLACES_MAX)) {
    const recent = await account.recent(place, RECENT_MAX);
    found.push(...recent.filter((message) => mayBeCalled(message, number)));
  }
  if (found.length === 1) return found[0]!;
  const what = found.length === 0 ? 'no message' : 'more than one message';
  throw new ActionError(1400, `message_id: ${what} of this number is known`);
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
    throw new ActionError(1400, `${space}_id: ${number} is nobody known here`);
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

/** Of a group that the bot is in: its members are nobody else's business. */
async function membersOf({ world, uid }: ActionGround, group: string): Promise<readonly string[]> {
  const members = await world.membersOf(group);
  if (!members.includes(uid)) throw new ActionError(1400, 'group_id: the bot is not in this group');
  return members;
}

/** Where a group names an owner or managers only they may, and the owner stays; else any member may. */
async function mayKick(ground: ActionGround, group: string, uid: string): Promise<void> {
  const { world, uid: bot } = ground;
  const [own, other] = [world.roleOf(group, bot), world.roleOf(group, uid)];
  if (own === 'member' && world.hasRoles(group)) {
    throw new ActionError(1500, 'set_group_kick: only its owner and managers may');
  }
  if (other === 'owner' || (other === 'admin' && own !== 'owner')) {
    throw new ActionError(1500, `set_group_kick: may not kick one who is ${other} of the group`);
  }
  if (own === 'member') await membersOf(ground, group);
}

function memberOf(ground: ActionGround, group: string, uid: string): unknown {
  return {
    group_id: ground.numbers.numberOf('group', group),
    ...{ ...profileOf(ground, uid), card: '', sex: 'unknown', age: 0, area: '' },
    role: ground.world.roleOf(group, uid),
    ...{ join_time: 0, last_sent_time: 0, level: '', unfriendly: false, title: '' },
    ...{ title_expire_time: 0, card_changeable: false },
  };
}

export interface Reply {
  readonly status: 'ok' | 'async' | 'failed';
  readonly retcode: number;
  readonly data: unknown;
  readonly message?: string;
}

/** Answers one frame of the API, without its echo; never rejects. */
export async function perform(ground: ActionGround, frame: unknown): Promise<Reply> {
  if (!isObject(frame) || typeof frame['action'] !== 'string') {
    return failed(1400, 'expected an object with an action');
  }
  const isAsync = frame['action'].endsWith('_async');
  const name = frame['action'].replace(/_(?:async|rate_limited)$/, '');
  const params = isObject(frame['params']) ? frame['params'] : {};
  if (name === '.handle_quick_operation') return quick(ground, params);
  const action = actionOf(name);
  if (!action) return failed(1404, `${name}: unknown action`);
  if (isAsync) {
    void attempt(action, ground, params).catch(() => {});
    return { status: 'async', retcode: 1, data: null };
  }
  try {
    return { status: 'ok', retcode: 0, data: await attempt(action, ground, params) };
  } catch (error) {
    const { retcode = 1500, message } = error as Partial<ActionError> & Error;
    return failed(retcode, message);
  }
}

/** What an action throws at once is a rejection like any other. */
async function attempt(action: Action, ground: ActionGround, params: Params): Promise<unknown> {
  return action(ground, params);
}

/** The reply that a handler of an event gives in passing. */
async function quick(ground: ActionGround, params: Params): Promise<Reply> {
  const { context, operation } = params;
  if (!isObject(context) || !isObject(operation)) {
    return failed(1400, 'expected context and operation');
  }
  const { reply } = operation;
  if (reply !== undefined && reply !== '') {
    const { group_id, user_id } = context;
    const to = group_id === undefined ? { user_id } : { group_id };
    return perform(ground, { action: 'send_msg', params: { ...to, message: reply } });
  }
  return { status: 'ok', retcode: 0, data: null };
}

function failed(retcode: number, message: string): Reply {
  return { status: 'failed', retcode, data: null, message };
}
