import type { Replicator } from '../../cluster/replication/replicator.ts';
import type { MemberId } from '../../core/ids.ts';
import type { Floors } from '../../messaging/retention/floors.ts';
import { RetentionService } from '../../messaging/retention/retention.ts';
import type { WriteGate } from '../../messaging/write-gate.ts';
import type { ReplicatedStore } from '../../storage/replica.ts';
import type { CoreOptions, CorePorts } from '../core.ts';

/** Floors are kept to on every node; they are raised where the configuration has rules. */
export function createRetention(
  { retention }: Pick<CoreOptions, 'retention'>,
  { store, runtime, log }: CorePorts,
  parts: {
    readonly self: MemberId;
    readonly replica: ReplicatedStore;
    readonly floors: Floors;
    readonly gate: WriteGate;
    readonly replicator: Replicator;
  },
): RetentionService {
  const { self, replica, floors, gate, replicator } = parts;
  const live = (): readonly MemberId[] =>
    replicator
      .peers()
      .filter((peer) => peer.live)
      .map(({ member }) => member);
  const room = log.child({ room: 'retention' });
  return new RetentionService(retention, {
    ...{ store, replica, floors, gate, runtime, self, live, log: room },
  });
}
