import { status } from '@grpc/grpc-js';
import {
  LISTENER_NAMES,
  ListenerError,
  type ListenerChange,
  type ListenerName,
  type Listeners,
} from '../../connections/listener-port.ts';
import { AdminError, invalid } from '../errors.ts';
import type * as wire from '../listener-messages.ts';

const RETRY_AFTER_SECONDS = 5;
const RETRY_AFTER_SECONDS_MAX = 86_400;
const SESSIONS_PER_SECOND_MAX = 1_000_000;

/** The calls about this node's listeners, by the name of each. */
export function listenerCalls(listeners: Listeners | undefined, node: string) {
  const kept = (): Listeners => {
    if (listeners) return listeners;
    throw new AdminError(status.UNIMPLEMENTED, 'the listeners of this node cannot be changed');
  };
  return {
    Listeners: (): Promise<wire.ListenersReply> =>
      answered(() => ({ node, listeners: kept().list() })),
    EnableListener: ({ name }: wire.EnableListenerRequest): Promise<wire.ListenerReply> =>
      answered(async () => reply(node, await kept().enable(readName(name)))),
    DisableListener: (request: wire.DisableListenerRequest): Promise<wire.ListenerReply> =>
      answered(async () =>
        reply(node, await kept().disable(readName(request.name), readRetry(request))),
      ),
    Drain: ({ sessionsPerSecond }: wire.DrainRequest): Promise<wire.DrainReply> =>
      answered(() => {
        if (sessionsPerSecond > SESSIONS_PER_SECOND_MAX) {
          throw invalid('sessions_per_second', `at most ${SESSIONS_PER_SECOND_MAX}`);
        }
        const pace = sessionsPerSecond === 0 ? undefined : sessionsPerSecond;
        return { node, sessions: kept().drain({ sessionsPerSecond: pace }) };
      }),
  };
}

async function answered<Reply>(work: () => Reply | Promise<Reply>): Promise<Reply> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ListenerError)) throw error;
    const code = error.code === 'illegal' ? status.FAILED_PRECONDITION : status.UNAVAILABLE;
    throw new AdminError(code, error.message);
  }
}

function readName(name: string): ListenerName {
  const found = LISTENER_NAMES.find((known) => known === name);
  if (found) return found;
  throw invalid('name', `${JSON.stringify(name)}, expected ${LISTENER_NAMES.join(' or ')}`);
}

function readRetry({ retryAfterSeconds, forGood }: wire.DisableListenerRequest): number {
  if (forGood) return 0;
  if (retryAfterSeconds > RETRY_AFTER_SECONDS_MAX) {
    throw invalid('retry_after_seconds', `at most ${RETRY_AFTER_SECONDS_MAX}`);
  }
  return retryAfterSeconds === 0 ? RETRY_AFTER_SECONDS : retryAfterSeconds;
}

function reply(node: string, { state, ...rest }: ListenerChange): wire.ListenerReply {
  return { node, listener: state, ...rest };
}
