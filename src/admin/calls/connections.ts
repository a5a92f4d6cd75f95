import { status } from '@grpc/grpc-js';
import {
  CONNECTION_STATES,
  isConnectionState,
  type ConnectionRow,
  type ConnectionStanding,
  type ConnectionState,
} from '../../core/kinds/connection.ts';
import {
  CONNECTION_ACTIONS,
  ConnectionError,
  withoutSecrets,
  type ConnectionAction,
  type ConnectionErrorCode,
  type Connections,
} from '../../connections/port.ts';
import { AdminError, invalid } from '../errors.ts';
import type * as wire from '../connection-messages.ts';
import { readText } from '../request.ts';

const ACTOR_LENGTH_MAX = 100;
const REASON_LENGTH_MAX = 300;
const OPERATOR = 'operator';

const STATUS: Readonly<Record<ConnectionErrorCode, status>> = {
  'not-found': status.NOT_FOUND,
  exists: status.ALREADY_EXISTS,
  contended: status.ABORTED,
  illegal: status.FAILED_PRECONDITION,
  late: status.ABORTED,
  unavailable: status.UNAVAILABLE,
  invalid: status.INVALID_ARGUMENT,
  full: status.RESOURCE_EXHAUSTED,
};

/** The calls about kept connections, by the name of each. */
export function connectionCalls(connections: Connections | undefined) {
  const kept = (): Connections => {
    if (connections) return connections;
    throw new AdminError(status.UNIMPLEMENTED, 'this node keeps no connections');
  };
  return {
    async Connections({ state }: wire.ConnectionsRequest): Promise<wire.ConnectionsReply> {
      const wanted = state === '' ? undefined : readState(state, 'state');
      const rows = kept().list();
      const chosen = wanted ? rows.filter((row) => row.state === wanted) : rows;
      return { connections: chosen.map((row) => ({ ...toInfo(row), journal: [] })) };
    },
    async Connection({ id }: wire.ConnectionRequest): Promise<wire.ConnectionInfo> {
      const row = kept().get(id);
      if (!row) throw new AdminError(status.NOT_FOUND, `${id}: there is none`, { field: 'id' });
      return toInfo(row);
    },
    CreateConnection: ({ id, kind, target, state, actor }: wire.CreateConnectionRequest) =>
      answered(() => {
        const first = state === '' ? undefined : readState(state, 'state');
        return kept().create({ id, kind, target, state: first }, readActor(actor));
      }),
    ActOnConnection: ({ id, action, actor }: wire.ActOnConnectionRequest) =>
      answered(() => {
        const known: readonly string[] = CONNECTION_ACTIONS;
        if (!known.includes(action)) throw invalid('action', `expected ${known.join(', ')}`);
        return kept().act(id, action as ConnectionAction, readActor(actor));
      }),
    ReportConnection: ({ actor, ...asked }: wire.ReportConnectionRequest) =>
      answered(() => {
        const { id, attempt, version, code } = asked;
        const reason = readText(asked.reason, 'reason', REASON_LENGTH_MAX);
        if (reason === '') throw invalid('reason', 'is empty');
        const report = { id, attempt, to: readState(asked.to, 'to'), reason, code };
        const which = version === 0 ? report : { ...report, version };
        return kept().report(which, readActor(actor));
      }),
    ConfirmPairing: ({ id, code, actor }: wire.ConfirmPairingRequest) =>
      answered(() => kept().confirm({ id, code, by: readActor(actor), as: 'operator' })),
    RollbackConnection: ({ id, version, actor }: wire.RollbackConnectionRequest) =>
      answered(() => kept().rollback(id, version, readActor(actor))),
  };
}

async function answered(ask: () => Promise<ConnectionRow>): Promise<wire.ConnectionInfo> {
  try {
    return toInfo(await ask());
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    throw new AdminError(STATUS[error.code], error.message, { cause: error });
  }
}

function readState(text: string, field: string): ConnectionState {
  if (isConnectionState(text)) return text;
  throw invalid(field, `expected one of ${CONNECTION_STATES.join(', ')}`);
}

function readActor(text: string): string {
  return text === '' ? OPERATOR : readText(text, 'actor', ACTOR_LENGTH_MAX);
}

function toInfo(row: ConnectionRow): wire.ConnectionInfo {
  const { id, kind, journal } = row;
  return {
    ...{ id, kind, target: withoutSecrets(row.target), standing: toStanding(row) },
    journal: journal.map((change) => {
      const { from, event, actor, node, atMs } = change;
      return { from, event, actor, node, atMs, after: toStanding(change) };
    }),
  };
}

function toStanding(standing: ConnectionStanding): wire.Standing {
  const { state, version, attempt, owner, retries, code, sinceMs, deadlineMs, reason } = standing;
  const enabled = standing.desired === 'enabled';
  return {
    ...{ state, version, attempt, owner, enabled, retries, code, sinceMs, deadlineMs, reason },
    pairedBy: standing.pairedBy ?? '',
  };
}
