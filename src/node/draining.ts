import type { Membership } from '../cluster/membership/port.ts';
import type { ClientGateway } from '../gateway/gateway.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import type { Uid } from '../core/ids.ts';
import type { NodeCore } from './core.ts';

export interface DrainParts {
  readonly core: NodeCore;
  readonly gateway: ClientGateway;
  readonly membership: Membership;
  readonly runtime: Runtime;
  readonly log: Log;
}

export interface DrainPace {
  readonly sessionsPerSecond: number;
  /** All are ended by then, whatever the pace, and nothing more is waited for. Milliseconds. */
  readonly withinMs: number;
  /** After the last one was sent away, for those that are not back elsewhere yet. Milliseconds. */
  readonly resumeMs: number;
}

const POLL_MS = 50;
/** Longer than a new owner needs to answer, shorter than anybody who stops a node waits. */
const HAND_OVER_MS = 2_000;

/**
 * The graceful end of a node's work, in order: others take its bridges and webhooks, its clients are sent
 * to them at a pace, and it waits until those are there, so that the next node of a rolling restart is not
 * drained while the clients of this one are still on their way. Leaving the live set comes after it, when
 * the node stops; the roster stays. Where no other member is live it only ends the sessions.
 */
export async function drain(parts: DrainParts, pace: DrainPace): Promise<void> {
  const { core, gateway, runtime, log, membership } = parts;
  const { clock } = runtime;
  const endsMs = clock.monotonicMs() + pace.withinMs;
  const next = nextAddresses(core, membership);
  const handing = handOver(parts, Math.min(HAND_OVER_MS, pace.withinMs));
  const uids = new Set([...core.services.sessions.sessions()].map(({ uid }) => uid));
  const { sessionsPerSecond, withinMs } = pace;
  const { connections, terminated } = await gateway.drain({ sessionsPerSecond, next, withinMs });
  const leftMs = Math.min(pace.resumeMs, endsMs - clock.monotonicMs());
  const missing = next.length === 0 ? 0 : await untilElsewhere(parts, uids, leftMs);
  const connectionsHandedOver = await handing;
  // After the last of what its clients did: what waits still falls to the others.
  if (next.length > 0 && gateway.service === 'draining') await core.webhooks?.leave();
  log.info('drained', {
    connections,
    terminated,
    users: uids.size,
    missing,
    connectionsHandedOver,
  });
}

/** Called off: this node takes part in everything again. */
export function callOffDrain({ core }: Pick<DrainParts, 'core'>): void {
  core.connections.stay();
  core.webhooks?.stay();
}

async function handOver({ core, log }: DrainParts, withinMs: number): Promise<number> {
  try {
    return await core.connections.handOver(withinMs);
  } catch (error) {
    // They are taken over without it, later.
    log.warn('the bridges were not handed over', { error });
    return 0;
  }
}

/** How many users are still nowhere when it gives up: who left for good never comes. */
async function untilElsewhere(
  { core, gateway, runtime }: DrainParts,
  uids: ReadonlySet<Uid>,
  withinMs: number,
): Promise<number> {
  const endMs = runtime.clock.monotonicMs() + withinMs;
  let missing = [...uids];
  for (;;) {
    missing = missing.filter((uid) => core.services.sessions.online(uid).length === 0);
    const isOver = runtime.clock.monotonicMs() >= endMs || gateway.service !== 'draining';
    if (missing.length === 0 || isOver) return missing.length;
    await new Promise<void>((resolve) => {
      runtime.timers.after(POLL_MS, resolve);
    });
  }
}

/** Live members take the clients; those first that stand after this one. */
function nextAddresses(core: NodeCore, membership: Membership): readonly string[] {
  const live = new Set(core.replicator.peers().flatMap((p) => (p.live ? [p.member] : [])));
  const others = membership.roster().members.filter(({ id }) => live.has(id));
  const after = others.filter(({ id }) => id > core.self.id);
  const before = others.filter(({ id }) => id < core.self.id);
  return [...after, ...before].map(({ clientAddress }) => clientAddress);
}
