import type { Membership } from '../cluster/membership/port.ts';
import type { PeerTransport } from '../cluster/link/port.ts';
import type { Row } from '../core/row.ts';
import type { RowKey } from '../core/row-key.ts';
import { FaultInjection } from '../faults/fault-injection.ts';
import { FaultyMembership } from '../faults/faulty-membership.ts';
import { FaultyTransport } from '../faults/faulty-transport.ts';
import type { FaultInjector } from '../faults/port.ts';
import type { Store } from '../storage/port.ts';
import { decodeRow, encodeRow } from '../storage/row-codec.ts';
import type { Ground } from './adapters.ts';
import type { NodeCore } from './core.ts';

export interface FaultPorts {
  readonly membership: Membership;
  readonly transport: PeerTransport;
  /** Undefined unless `audit.fault_injection` is on. */
  injector(core: NodeCore): FaultInjector | undefined;
}

/** With fault injection off nothing stands between the node and its ports. */
export function createFaultPorts(
  { config, runtime, log }: Ground,
  ports: {
    readonly store: Store;
    readonly membership: Membership;
    readonly transport: PeerTransport;
  },
): FaultPorts {
  if (config.audit.faultInjection === 'off') return { ...ports, injector: () => undefined };
  const membership = new FaultyMembership(ports.membership, runtime);
  const transport = new FaultyTransport(ports.transport, runtime);
  log.warn('fault injection is on: whoever holds an admin token may damage this node');
  return {
    ...{ membership, transport },
    injector: ({ replica, routing, replicator }) =>
      new FaultInjection({
        ...{ store: ports.store, runtime, membership, transport, routing, replicator },
        rows: {
          encode: encodeRow,
          decode(key, bytes) {
            const decoded = replica.decode(key, bytes);
            return decoded.ok ? decoded.row : undefined;
          },
        },
        log: log.child({ room: 'faults' }),
      }),
  };
}

export function readRow(key: RowKey, bytes: Uint8Array): Row | undefined {
  const decoded = decodeRow(key, bytes);
  return decoded.ok ? decoded.row : undefined;
}
