import { parseUid, PERSON, type ChannelKey } from '../../core/ids.ts';
import { ownChannel } from '../../core/placement.ts';
import type { ChannelList } from '../../messaging/moderation/port.ts';
import type { Services } from '../../messaging/port.ts';
import { invalid, refusalError, take } from '../errors.ts';
import type * as wire from '../moderation-messages.ts';
import type { AdminLimits } from '../port.ts';
import { readChannel, readUids, type ChannelFields } from '../request.ts';
import { needed } from './users.ts';

type Limits = Pick<AdminLimits, 'uidsMax' | 'pageSizeMax'>;

const PAGE_DEFAULT = 100;
const LISTS: Readonly<Record<string, ChannelList>> = {
  CHANNEL_LIST_BAN: 'ban',
  CHANNEL_LIST_MUTE: 'mute',
  CHANNEL_LIST_BLACKLIST: 'blacklist',
  CHANNEL_LIST_WHITELIST: 'whitelist',
};
const ACTIONS: Readonly<Record<string, 'add' | 'remove' | 'set'>> = {
  LIST_ACTION_ADD: 'add',
  LIST_ACTION_REMOVE: 'remove',
  LIST_ACTION_SET: 'set',
};

/** ChannelList and ChangeChannelList; throw AdminError. */
export function moderationCalls(services: Services, limits: Limits) {
  return {
    ChannelList: async (request: wire.ChannelListRequest): Promise<wire.ChannelListReply> => {
      const place = readPlace(request);
      const after = request.after === '' ? undefined : take(parseUid(request.after), 'after');
      if (request.limit > limits.pageSizeMax) {
        throw invalid('limit', `${request.limit}, at most ${limits.pageSizeMax}`);
      }
      const limit = request.limit === 0 ? PAGE_DEFAULT : request.limit;
      const uids = await needed(services).listed(place, { after, limit });
      return { uids, next: uids.length < limit ? '' : uids.at(-1)! };
    },

    ChangeChannelList: async (request: wire.ChangeChannelListRequest): Promise<object> => {
      const place = readPlace(request);
      const action = chosen(ACTIONS, request.action, 'action');
      // To set nobody is to empty the list; to add or remove nobody is a mistake.
      const nobody = action === 'set' && request.uids.length === 0;
      const uids = nobody ? [] : readUids(request.uids, limits.uidsMax);
      const outcome = await needed(services)[action]({ ...place, uids });
      if (!outcome.ok) throw refusalError(outcome);
      return {};
    },
  };
}

function readPlace(request: ChannelFields & { readonly list: string }): {
  readonly channel: ChannelKey;
  readonly list: ChannelList;
} {
  const list = chosen(LISTS, request.list, 'list');
  if (request.channelType !== PERSON || request.channelId.includes('@')) {
    return { channel: readChannel(request), list };
  }
  if (list === 'ban' || list === 'mute') {
    throw invalid('list', `a user has a blacklist and a whitelist, no list for ${list}`);
  }
  return { channel: ownChannel(take(parseUid(request.channelId), 'channel_id')), list };
}

function chosen<Value>(
  choices: Readonly<Record<string, Value>>,
  name: string,
  field: string,
): Value {
  // The decoder passes numbers on that it has no name for.
  const value = Object.hasOwn(choices, name) ? choices[name] : undefined;
  if (value !== undefined) return value;
  throw invalid(field, `expected one of ${Object.keys(choices).join(', ')}`);
}
