import type { FastifyInstance } from 'fastify';
import { PERSON, type ChannelKey } from '../../core/ids.ts';
import { ownChannel } from '../../core/placement.ts';
import type { ChannelList, Moderation } from '../../messaging/moderation/port.ts';
import {
  fieldsOf,
  readChannelKey,
  readChannelType,
  readInteger,
  readUid,
  readUids,
  type Fields,
} from '../body.ts';
import { badRequest, HttpError, OK, valueOf } from '../http-error.ts';
import type { ApiCalls, ApiContext } from '../port.ts';

/** The first two are WuKongIM's. */
const LISTS: readonly ChannelList[] = ['blacklist', 'whitelist', 'ban', 'mute'];
/** App, web, desktop. */
const DEVICE_FLAG_MAX = 2;
const ALL_DEVICES = -1;

export function moderationCalls(context: ApiContext): ApiCalls {
  const lists = LISTS.map((list) => listCalls(context, list));
  return { ...(Object.assign({}, ...lists) as ApiCalls), ...userCalls(context) };
}

/** `add` and `remove` want at least one uid; `set` with none empties the list, as `remove_all` does. */
function listCalls(context: ApiContext, list: ChannelList): ApiCalls {
  const named = (body: unknown, least: 0 | 1) => {
    const fields = fieldsOf(body);
    const channel = readListed(fields, list);
    const uids = readUids(fields, 'uids', context.uidsMax);
    if (uids.length < least) throw badRequest('uids: expected at least one uid, found none');
    return { channel, list, uids };
  };
  return {
    async [`/channel/${list}_add`](body) {
      valueOf(await moderationOf(context).add(named(body, 1)));
      return OK;
    },
    async [`/channel/${list}_remove`](body) {
      valueOf(await moderationOf(context).remove(named(body, 1)));
      return OK;
    },
    async [`/channel/${list}_set`](body) {
      valueOf(await moderationOf(context).set(named(body, 0)));
      return OK;
    },
    async [`/channel/${list}_remove_all`](body) {
      const channel = readListed(fieldsOf(body), list);
      valueOf(await moderationOf(context).set({ channel, list, uids: [] }));
      return OK;
    },
  };
}

function userCalls(context: ApiContext): ApiCalls {
  const setSystem = async (body: unknown, system: 'yes' | 'no'): Promise<string> => {
    const uids = readUids(fieldsOf(body), 'uids', context.uidsMax);
    if (uids.length === 0) throw badRequest('uids: expected at least one uid, found none');
    valueOf(await moderationOf(context).setSystem(uids, system));
    return OK;
  };
  return {
    '/user/systemuids_add': (body) => setSystem(body, 'yes'),
    '/user/systemuids_remove': (body) => setSystem(body, 'no'),
    async '/user/device_quit'(body) {
      const fields = fieldsOf(body);
      const uid = readUid(fields, 'uid');
      const flag = readInteger(fields, 'device_flag', { from: ALL_DEVICES, to: DEVICE_FLAG_MAX });
      const quit = moderationOf(context).quitDevice(uid, flag === ALL_DEVICES ? undefined : flag);
      valueOf(await quit);
      return OK;
    },
  };
}

/** GET of each list, and of the system users: JSON lists of uids, at most `uidsMax`. */
export function addListLookups(server: FastifyInstance, context: ApiContext): void {
  for (const list of LISTS) {
    server.get<{ Querystring: Record<string, unknown> }>(`/channel/${list}`, async (request) => {
      const { channel_id: channelId, channel_type: type } = request.query;
      const digits = typeof type === 'string' && /^\d{1,2}$/.test(type);
      const named = { channel_id: channelId, channel_type: digits ? Number(type) : type };
      const channel = readListed(named, list);
      const page = { limit: context.uidsMax };
      return JSON.stringify(await moderationOf(context).listed({ channel, list }, page));
    });
  }
  server.get('/user/systemuids', async () =>
    JSON.stringify(await moderationOf(context).systemUids(context.uidsMax)),
  );
}

/** Of type 1 the lists are those of one user, `channel_id`: whose direct messages the user takes. */
function readListed(fields: Fields, list: ChannelList): ChannelKey {
  const type = readChannelType(fields);
  if (type === PERSON && (list === 'ban' || list === 'mute')) {
    throw badRequest('channel_type: of one user (1) there are a blacklist and a whitelist only');
  }
  return type === PERSON ? ownChannel(readUid(fields, 'channel_id')) : readChannelKey(fields, type);
}

function moderationOf({ services }: ApiContext): Moderation {
  if (services.moderation) return services.moderation;
  throw new HttpError(503, 'this node keeps no lists of users');
}
