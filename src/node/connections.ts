import { ConnectionService } from '../connections/connections.ts';
import type { ConnectionFacts } from '../connections/port.ts';
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
