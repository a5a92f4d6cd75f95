import { ConnectionService } from '../connections/connections.ts';
import { connectionOfCode } from '../connections/pairing.ts';
import { ConnectionError, type ConnectionFacts, type Connections } from '../connections/port.ts';
import { REASON, refuse } from '../core/reason-code.ts';
import type { Pairings } from '../messaging/port.ts';
import type { PeerCalls } from '../cluster/calls/port.ts';
import type { Replicator } from '../cluster/replication/replicator.ts';
import type { MemberId } from '../core/ids.ts';
import type { WriteGate } from '../messaging/write-gate.ts';
import type { ReplicatedStore } from '../storage/replica.ts';
import type { CoreOptions, CorePorts } from './core.ts';

export interface ConnectionParts {
  readonly self: MemberId;
  readonly replica: ReplicatedStore;
  readonly gate: WriteGate;
  readonly calls: PeerCalls;
  readonly replicator: Pick<Replicator, 'peers'>;
}

/** The connections that the cluster keeps open, on what a core has. */
export async function createConnections(
  { connectionTimes: times }: Pick<CoreOptions, 'connectionTimes'>,
  { store, runtime, membership, log, connectionDrivers: drivers }: CorePorts,
  { self, replica, gate, calls, replicator }: ConnectionParts,
): Promise<ConnectionService> {
  const heard = () => replicator.peers().flatMap(({ member, live }) => (live ? [member] : []));
  const facts: ConnectionFacts = {
    self,
    // A list in cluster.yml says nothing of who lives.
    isLive: (member) =>
      heard().includes(member) || (!membership.fixed && membership.live().has(member)),
    roster: () => membership.roster().members.map(({ id }) => id),
    heard,
  };
  const service = await ConnectionService.open({
    ...{ facts, store, replica, gate, calls, runtime, drivers, times },
    log: log.child({ room: 'connections' }),
  });
  replica.addListener({
    onSubmitted: () => {},
    onStaged: (changes) => service.onStaged(changes),
    onDurable: (applied) => service.onDurable(applied),
  });
  return service;
}

/** What clients may do with connections: confirm the code that one of their own bots shows. */
export function pairingsOf(connections: Connections): Pairings {
  const refused = refuse(
    REASON.authenticationFailed,
    'code: none that waits to be confirmed by you',
  );
  return {
    async confirm(code, uid) {
      const id = connectionOfCode(code);
      if (id === undefined) return refused;
      try {
        await connections.confirm({ id, code, by: uid, as: 'user' });
        return { ok: true, value: { connection: id } };
      } catch (error) {
        if (!(error instanceof ConnectionError)) throw error;
        if (error.code === 'unavailable') return refuse(REASON.systemError, error.message);
        // Whether there is such a connection is not for everybody to know.
        return refused;
      }
    },
  };
}
