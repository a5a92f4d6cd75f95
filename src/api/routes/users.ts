import type { FastifyInstance } from 'fastify';
import { parseUid, type Uid } from '../../core/ids.ts';
import { fieldsOf, readInteger, readText, readUid, uidsOf } from '../body.ts';
import { badRequest, OK, valueOf } from '../http-error.ts';
import type { ApiCalls, ApiContext } from '../port.ts';

const TOKEN_LENGTH_MAX = 1024;
/** App, web, desktop. */
const DEVICE_FLAG_MAX = 2;
const DEVICE_LEVEL_MAX = 1;

export function userCalls({ services, uidsMax, clientAddressFor }: ApiContext): ApiCalls {
  return {
    async '/user/token'(body) {
      const fields = fieldsOf(body);
      const uid = readUid(fields, 'uid');
      const token = readText(fields, 'token', { lengthMax: TOKEN_LENGTH_MAX });
      const flag = readInteger(fields, 'device_flag', {
        from: 0,
        to: DEVICE_FLAG_MAX,
        fallback: 0,
      });
      const level = readInteger(fields, 'device_level', {
        from: 0,
        to: DEVICE_LEVEL_MAX,
        fallback: 0,
      });
      valueOf(await services.directory.setToken(uid, flag, { token, level }));
      return OK;
    },

    '/user/onlinestatus'(body) {
      const uids = uidsOf(body, 'body', uidsMax);
      return JSON.stringify(uids.flatMap((uid) => devicesOf(uid)));
    },

    '/route/batch'(body) {
      const byAddress = new Map<string, Uid[]>();
      for (const uid of uidsOf(body, 'body', uidsMax)) {
        const address = clientAddressFor(uid);
        const group = byAddress.get(address);
        if (group) group.push(uid);
        else byAddress.set(address, [uid]);
      }
      return JSON.stringify([...byAddress].map(([address, uids]) => ({ uids, ...route(address) })));
    },
  };

  /** One device may hold sessions on several members; it is online once. */
  function devicesOf(uid: Uid): unknown[] {
    const flags = new Set(services.sessions.online(uid).map((device) => device.deviceFlag));
    return [...flags].map((flag) => ({ uid, device_flag: flag, online: 1 }));
  }
}

/** GET /route?uid=: where this user, or any, should connect. */
export function addRouteLookup(server: FastifyInstance, { clientAddressFor }: ApiContext): void {
  server.get<{ Querystring: { uid?: unknown } }>('/route', (request) => {
    const { uid } = request.query;
    if (uid === undefined || uid === '') return JSON.stringify(route(clientAddressFor(undefined)));
    const parsed = parseUid(uid);
    if (!parsed.ok) throw badRequest(parsed.error);
    return JSON.stringify(route(clientAddressFor(parsed.value)));
  });
}

/** We speak WebSocket only, so there is no TCP address to tell. */
function route(address: string): { tcp_addr: string; ws_addr: string; wss_addr: string } {
  const secure = address.startsWith('wss:');
  return { tcp_addr: '', ws_addr: secure ? '' : address, wss_addr: secure ? address : '' };
}
