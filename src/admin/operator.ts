import { status } from '@grpc/grpc-js';
import type { OperatorAnswer } from '../api/operator-port.ts';
import type { Reloads } from '../config/reload-port.ts';
import type { Listeners } from '../connections/listener-port.ts';
import type { Connections } from '../connections/port.ts';
import { connectionCalls } from './calls/connections.ts';
import { DiagnosisService, type DiagnosisCalls } from './calls/diagnosis.ts';
import { listenerCalls } from './calls/listeners.ts';
import { reloadCalls } from './calls/reload.ts';
import { toMembersReply } from './calls/member-view.ts';
import { AdminError, invalid } from './errors.ts';
import type { ClusterInfo } from './port.ts';
import { encodeQr } from './qr/encode.ts';
import { qrPng } from './qr/show.ts';

export interface OperatorCallsOptions {
  readonly cluster: ClusterInfo;
  readonly diagnosis: DiagnosisCalls | undefined;
  readonly connections: Connections | undefined;
  readonly listeners: Listeners | undefined;
  readonly reloads?: Reloads | undefined;
  readonly health: () => object;
  readonly log: { error(message: string, fields?: Record<string, unknown>): void };
}

type Request = Readonly<Record<string, string | number | boolean>>;

interface Call {
  /** Every field with what it is where the request does not say; its type is the field's. */
  readonly fields: Request;
  readonly serve: (request: never) => Promise<object>;
}

const PAIR = { uid: '', channelId: '', channelType: 0 };
/** Who the journal says it was. */
const ACTOR = { actor: "operator's page" };

const HTTP_STATUS: Partial<Readonly<Record<status, number>>> = {
  [status.INVALID_ARGUMENT]: 400,
  [status.PERMISSION_DENIED]: 403,
  [status.NOT_FOUND]: 404,
  [status.ALREADY_EXISTS]: 409,
  [status.FAILED_PRECONDITION]: 409,
  [status.ABORTED]: 409,
  [status.RESOURCE_EXHAUSTED]: 429,
  [status.UNIMPLEMENTED]: 501,
  [status.UNAVAILABLE]: 503,
};

/** The calls of the admin service that the operator's page makes, with JSON in the place of protobuf. */
export class OperatorCalls {
  readonly #calls: ReadonlyMap<string, Call>;
  readonly #log: OperatorCallsOptions['log'];

  constructor(options: OperatorCallsOptions) {
    this.#calls = new Map(Object.entries(callsOf(options)));
    this.#log = options.log;
  }

  /** Never rejects. Of a defect only that there was one. */
  async answer(name: string, request: unknown): Promise<OperatorAnswer> {
    try {
      const call = this.#calls.get(name);
      if (!call) throw new AdminError(status.NOT_FOUND, `there is no call ${JSON.stringify(name)}`);
      return { ok: true, value: await call.serve(shaped(request, call.fields) as never) };
    } catch (error) {
      if (error instanceof AdminError) {
        return { ok: false, status: HTTP_STATUS[error.code] ?? 500, message: error.message };
      }
      this.#log.error("a call of the operator's page failed", { call: name, error });
      return { ok: false, status: 500, message: 'internal error, see the log of the node' };
    }
  }
}

function callsOf(options: OperatorCallsOptions): Readonly<Record<string, Call>> {
  const { cluster, health } = options;
  const diagnosis = new DiagnosisService(options.diagnosis);
  const connections = connectionCalls(options.connections);
  const listeners = listenerCalls(options.listeners, cluster.nodeId);
  const reloads = reloadCalls(options.reloads, cluster.nodeId);
  return {
    state: {
      fields: {},
      serve: async () => ({
        ...toMembersReply(cluster),
        health: health(),
        ...(options.listeners ? await listeners.Listeners() : { listeners: [] }),
        ...(options.connections ? await connections.Connections({ state: '' }) : EMPTY),
      }),
    },
    explain: { fields: PAIR, serve: (request) => diagnosis.explain(request) },
    repair: { fields: PAIR, serve: (request) => diagnosis.repair(request) },
    connection: {
      fields: { id: '' },
      serve: async (request: { id: string }) => {
        const connection = await connections.Connection(request);
        return { ...connection, picture: pictureOf(connection.standing?.code ?? '') };
      },
    },
    confirm: {
      fields: { id: '', code: '' },
      serve: (request: { id: string; code: string }) =>
        connections.ConfirmPairing({ ...request, ...ACTOR }),
    },
    act: {
      fields: { id: '', action: '' },
      serve: (request: { id: string; action: string }) =>
        connections.ActOnConnection({ ...request, ...ACTOR }),
    },
    rollback: {
      fields: { id: '', version: 0 },
      serve: (request: { id: string; version: number }) =>
        connections.RollbackConnection({ ...request, ...ACTOR }),
    },
    'listener-enable': {
      fields: { name: '' },
      serve: (request) => listeners.EnableListener(request),
    },
    'listener-disable': {
      fields: { name: '', retryAfterSeconds: 0, forGood: false },
      serve: (request) => listeners.DisableListener(request),
    },
    drain: { fields: { sessionsPerSecond: 0 }, serve: (request) => listeners.Drain(request) },
    reload: { fields: {}, serve: () => reloads.Reload() },
  };
}

const EMPTY = { connections: [] };

/** A code as the address of a PNG; empty where there is none, or it is too long for a picture. */
function pictureOf(code: string): string {
  const matrix = code === '' ? undefined : encodeQr(code);
  return matrix ? `data:image/png;base64,${Buffer.from(qrPng(matrix)).toString('base64')}` : '';
}

/** As the decoder of protobuf would give it: every field there, of its type, and no others. */
function shaped(request: unknown, fields: Request): Request {
  const given = (request ?? {}) as Readonly<Record<string, unknown>>;
  const entries = Object.entries(fields).map(([name, fallback]) => {
    const value = Object.hasOwn(given, name) ? given[name] : fallback;
    if (typeof value !== typeof fallback) throw invalid(name, `expected a ${typeof fallback}`);
    if (typeof value === 'number' && !(Number.isSafeInteger(value) && value >= 0)) {
      throw invalid(name, 'expected a whole number from 0');
    }
    return [name, value];
  });
  return Object.fromEntries(entries) as Request;
}
