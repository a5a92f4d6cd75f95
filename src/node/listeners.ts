import type { HttpApi } from '../api/http-server.ts';
import type { Membership } from '../cluster/membership/port.ts';
import { LISTENER_NAMES } from '../connections/listener-port.ts';
import { ListenerSet, type Units } from '../connections/listeners.ts';
import type { ClientGateway } from '../gateway/gateway.ts';
import type { Ground } from './adapters.ts';
import type { NodeCore } from './core.ts';
import { callOffDrain, drain, type DrainPace } from './draining.ts';
import { probe, type Probing } from './probing.ts';

/** The parts of a node's present life that listen. */
export interface ListeningParts {
  readonly core: NodeCore;
  readonly membership: Membership;
  readonly gateway: ClientGateway;
  /** The node's own client; it is away while the client listener is. */
  probing?: Probing;
  http?: HttpApi;
  clientPort?: number;
  httpPort?: number;
}

/** S3-1: who has not answered the Close frame by then is terminated. */
const TERMINATE_AFTER_MS = 3_000;
/** A drain that an operator asks for ends by then, however many sessions there are. */
const DRAIN_WITHIN_MS = 600_000;

export function createListeners(
  ground: Ground,
  life: () => ListeningParts | undefined,
): ListenerSet {
  return new ListenerSet({
    units: () => {
      const parts = life();
      return parts?.http && unitsOf(ground, parts, parts.http);
    },
    clock: ground.runtime.clock,
    disabled: LISTENER_NAMES.filter((name) => ground.config.listen[name].enabled === false),
    log: ground.log.child({ room: 'connections' }),
  });
}

function unitsOf(ground: Ground, parts: ListeningParts, http: HttpApi): Units {
  const { listen, gateway: limits } = ground.config;
  const { gateway } = parts;
  return {
    client: {
      address: () => `${listen.client.host}:${parts.clientPort ?? listen.client.port}`,
      connections: () => gateway.counters.sockets,
      async disable(retryAfterSeconds) {
        parts.probing?.stop();
        delete parts.probing;
        const how = { retryAfterSeconds, terminateAfterMs: TERMINATE_AFTER_MS };
        const { connections, terminated } = await gateway.disable(how);
        return { ended: connections, terminated };
      },
      enable() {
        callOffDrain(parts);
        gateway.enable();
        parts.probing ??= probe(ground, parts, parts.clientPort ?? listen.client.port);
        return Promise.resolve();
      },
      drain: ({ sessionsPerSecond = limits.drainSessionsPerSecond }) => {
        const resumeMs = limits.drainResumeMs;
        return drainLife(ground, parts, { sessionsPerSecond, resumeMs, withinMs: DRAIN_WITHIN_MS });
      },
    },
    http: {
      address: () => `${listen.http.host}:${parts.httpPort ?? listen.http.port}`,
      connections: () => http.inWork,
      disable: (retryAfterSeconds) => http.disable(retryAfterSeconds, TERMINATE_AFTER_MS),
      enable: () => Promise.resolve(http.enable()),
    },
  };
}

/** The node's own client goes first: it is nobody that could come back elsewhere. */
export function drainLife(
  { runtime, log }: Ground,
  parts: ListeningParts,
  pace: DrainPace,
): Promise<void> {
  parts.probing?.stop();
  delete parts.probing;
  return drain({ ...parts, runtime, log: log.child({ room: 'connections' }) }, pace);
}

/** Why the node is not ready, or not whole, because of what an operator turned off. */
export function turnedOff(listeners: ListenerSet): {
  readonly reasons: readonly string[];
  readonly degraded: readonly string[];
} {
  const off = listeners.list().filter(({ state }) => state !== 'enabled');
  const said = (name: string) =>
    off.filter((one) => one.name === name).map(({ state }) => `the ${name} listener is ${state}`);
  return { reasons: said('client'), degraded: said('http') };
}
