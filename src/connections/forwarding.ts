import type { ConnectionRow } from '../core/kinds/connection.ts';
import type { MemberId } from '../core/ids.ts';
import type { PeerCalls } from '../cluster/calls/port.ts';
import {
  CONNECTION_ACTIONS,
  ConnectionError,
  type ConnectionAction,
  type ConnectionErrorCode,
  type ConnectionReport,
  type Connections,
} from './port.ts';

const METHOD = 'connections';
const TIMEOUT_MS = 5_000;

export interface OwnerRequest {
  readonly method: 'act' | 'report' | 'confirm' | 'rollback';
  readonly of: Readonly<Record<string, unknown>>;
}

type Answer =
  | { readonly row: ConnectionRow }
  | { readonly code: ConnectionErrorCode; readonly message: string };

/** Rejects with what the owner refused it for, or with `unavailable`. */
export async function askOwner(
  calls: Pick<PeerCalls, 'call'>,
  { id, owner }: ConnectionRow,
  body: OwnerRequest,
): Promise<ConnectionRow> {
  let answer: Answer;
  try {
    answer = (await calls.call(owner, { method: METHOD, body, timeoutMs: TIMEOUT_MS })) as Answer;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConnectionError(
      'unavailable',
      `${id}: ${owner}, which has it, cannot be asked (${why}); once it is not live any more, take it over`,
    );
  }
  if ('row' in answer) return answer.row;
  throw new ConnectionError(answer.code, answer.message);
}

/** Decides what other members ask for. */
export function answerMembers(
  calls: Pick<PeerCalls, 'answer'>,
  connections: Connections,
  self: MemberId,
): void {
  calls.answer(METHOD, async (_from, body): Promise<Answer> => {
    try {
      return { row: await decide(connections, body, self) };
    } catch (error) {
      if (error instanceof ConnectionError) return { code: error.code, message: error.message };
      throw error;
    }
  });
}

async function decide(
  connections: Connections,
  body: unknown,
  self: MemberId,
): Promise<ConnectionRow> {
  const { method, of } = (body ?? {}) as Partial<OwnerRequest>;
  const { id, actor, action, version, attempt, to, reason, code, as } = of ?? {};
  if (typeof id !== 'string' || typeof actor !== 'string') throw malformed('id, actor');
  const owner = connections.get(id)?.owner;
  // Not passed on: two members of different opinions would ask each other for ever.
  if (owner !== self) throw new ConnectionError('unavailable', `${id}: ${owner} has it by now`);
  switch (method) {
    case 'act':
      if (!CONNECTION_ACTIONS.includes(action as ConnectionAction)) throw malformed('action');
      return connections.act(id, action as ConnectionAction, actor);
    case 'rollback':
      if (typeof version !== 'number') throw malformed('version');
      return connections.rollback(id, version, actor);
    case 'report':
      if (typeof attempt !== 'number' || typeof reason !== 'string') throw malformed('attempt');
      return connections.report(
        { id, attempt, version, to, reason, code } as ConnectionReport,
        actor,
      );
    case 'confirm':
      if (typeof code !== 'string' || (as !== 'user' && as !== 'operator')) throw malformed('code');
      return connections.confirm({ id, code, by: actor, as });
    default:
      throw malformed('method');
  }
}

function malformed(field: string): ConnectionError {
  return new ConnectionError('invalid', `a member asked what cannot be read: ${field}`);
}
