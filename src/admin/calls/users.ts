import { status } from '@grpc/grpc-js';
import { parseUid, type Uid } from '../../core/ids.ts';
import { ownChannel } from '../../core/placement.ts';
import type { Moderation } from '../../messaging/moderation/port.ts';
import type { Services } from '../../messaging/port.ts';
import { AdminError, invalid, refusalError, take } from '../errors.ts';
import type * as wire from '../moderation-messages.ts';
import type { AdminLimits } from '../port.ts';
import { readText, readUids } from '../request.ts';

const TOKEN_LENGTH_MAX = 1024;
/** App, web, desktop. */
const DEVICE_FLAG_MAX = 2;
const DEVICE_LEVEL_MAX = 1;
const SYSTEM_USERS_MAX = 10_000;

/** User, SetToken, SignOut, SystemUsers and SetSystemUsers; throw AdminError. */
export function userCalls(services: Services, limits: Pick<AdminLimits, 'uidsMax'>) {
  const { directory, sessions } = services;
  return {
    User: async (request: wire.UserRequest): Promise<wire.UserInfo> => {
      const uid = readUid(request.uid);
      return {
        uid,
        system: needed(services).isSystem(uid),
        allowStranger: directory.channel(ownChannel(uid))?.allowStranger ?? false,
        devices: sessions.online(uid).map(({ deviceFlag, member }) => ({ deviceFlag, member })),
      };
    },

    SetToken: async (request: wire.SetTokenRequest): Promise<object> => {
      const uid = readUid(request.uid);
      const flag = upTo(request.deviceFlag, 'device_flag', DEVICE_FLAG_MAX);
      const level = upTo(request.deviceLevel, 'device_level', DEVICE_LEVEL_MAX);
      if (request.token === '') throw invalid('token', 'is empty');
      const token = readText(request.token, 'token', TOKEN_LENGTH_MAX);
      const outcome = await directory.setToken(uid, flag, { token, level });
      if (!outcome.ok) throw refusalError(outcome);
      return {};
    },

    SignOut: async ({ uid: text, deviceFlag }: wire.SignOutRequest): Promise<object> => {
      const uid = readUid(text);
      const flag =
        deviceFlag === undefined ? undefined : upTo(deviceFlag, 'device_flag', DEVICE_FLAG_MAX);
      const outcome = await needed(services).quitDevice(uid, flag);
      if (!outcome.ok) throw refusalError(outcome);
      return {};
    },

    SystemUsers: async ({ limit }: wire.SystemUsersRequest): Promise<wire.UidList> => {
      const max = limit === 0 ? SYSTEM_USERS_MAX : upTo(limit, 'limit', SYSTEM_USERS_MAX);
      return { uids: (await needed(services).systemUids(max)).toSorted() };
    },

    SetSystemUsers: async ({ uids, system }: wire.SetSystemUsersRequest): Promise<object> => {
      const named = readUids(uids, limits.uidsMax);
      const outcome = await needed(services).setSystem(named, system ? 'yes' : 'no');
      if (!outcome.ok) throw refusalError(outcome);
      return {};
    },
  };
}

/** Throws UNIMPLEMENTED where nobody moderates. */
export function needed({ moderation }: Pick<Services, 'moderation'>): Moderation {
  if (moderation) return moderation;
  throw new AdminError(status.UNIMPLEMENTED, 'this node does not moderate');
}

function readUid(text: string): Uid {
  return take(parseUid(text), 'uid');
}

function upTo(value: number, field: string, max: number): number {
  if (value <= max) return value;
  throw invalid(field, `${value}, at most ${max}`);
}
