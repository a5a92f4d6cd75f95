import type { ConnectionRow, ConnectionState } from '../../src/core/kinds/connection.ts';
import type { MemberId } from '../../src/core/ids.ts';
import { PeerCallError, type PeerCalls } from '../../src/cluster/calls/port.ts';
import { ConnectionService } from '../../src/connections/connections.ts';
import type {
  ConnectionDriver,
  ConnectionFacts,
  ConnectionTell,
} from '../../src/connections/port.ts';
import { silentLog } from '../../src/observability/log.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { createVirtualRuntime, type VirtualRuntime } from '../support/virtual-runtime.ts';

/** A driver whose attempts the test holds in its hand. */
export class HandDriver implements ConnectionDriver {
  readonly opened: { readonly row: ConnectionRow; readonly tell: ConnectionTell }[] = [];
  readonly closed: string[] = [];
  /** Attempts that are open now. */
  readonly holding = new Set<string>();
  canRefresh = true;

  check(target: string): string | undefined {
    return target === 'bad' ? 'is bad' : undefined;
  }

  open(row: ConnectionRow, tell: ConnectionTell) {
    this.opened.push({ row, tell });
    this.holding.add(`${row.id} ${row.attempt}`);
    let codes = 1;
    return {
      refresh: () => {
        if (!this.canRefresh) return false;
        codes += 1;
        void tell({ to: 'QRCODE', reason: 'another code', code: `code ${codes}` });
        return true;
      },
      close: (reason: string) => {
        this.holding.delete(`${row.id} ${row.attempt}`);
        this.closed.push(`${row.attempt}: ${reason}`);
      },
    };
  }
}

export interface ServiceNode {
  readonly service: ConnectionService;
  readonly replica: ReplicatedStore;
  readonly runtime: VirtualRuntime;
  readonly location: MemoryStoreLocation;
  readonly driver: HandDriver;
  /** A row in the state, by the shortest legal way. */
  readonly reach: (id: string, state: ConnectionState) => Promise<ConnectionRow>;
}

const NO_CALLS: Pick<PeerCalls, 'call' | 'answer'> = {
  answer: () => {},
  call: () => Promise.reject(new PeerCallError('unreachable', 'no link')),
};

/** The connections of one member in virtual time; `location` of an earlier run goes on with its store. */
export async function startService({
  self = 'n1',
  runtime = createVirtualRuntime(),
  location = new MemoryStoreLocation({ runtime }),
  calls = NO_CALLS,
  isLive = () => false,
  facts = {},
  wrap = (inner) => inner,
}: {
  readonly self?: string;
  readonly runtime?: VirtualRuntime;
  readonly location?: MemoryStoreLocation;
  readonly calls?: Pick<PeerCalls, 'call' | 'answer'>;
  readonly isLive?: (member: MemberId) => boolean;
  readonly facts?: Partial<ConnectionFacts>;
  readonly wrap?: (inner: ConnectionDriver, runtime: VirtualRuntime) => ConnectionDriver;
} = {}): Promise<ServiceNode> {
  const driver = new HandDriver();
  const store = await runtime.settle(location.open());
  const replica = await runtime.settle(ReplicatedStore.open({ store, runtime, log: silentLog }));
  const service = await runtime.settle(
    ConnectionService.open({
      facts: { self: self as MemberId, isLive, ...facts },
      ...{ store, replica, calls, runtime, log: silentLog },
      gate: { refusal: () => undefined },
      drivers: new Map([['hand', wrap(driver, runtime)]]),
    }),
  );
  replica.addListener({
    onSubmitted: () => {},
    onStaged: (changes) => service.onStaged(changes),
    onDurable: (applied) => service.onDurable(applied),
  });
  service.start();
  const reach = (id: string, state: ConnectionState): Promise<ConnectionRow> =>
    runtime.settle(walk(service, id, state));
  return { service, replica, runtime, location, driver, reach };
}

const WAYS: Readonly<Record<ConnectionState, readonly ConnectionState[]>> = {
  OPENING: [],
  QRCODE: ['QRCODE'],
  PAIRING: ['QRCODE', 'PAIRING'],
  CONNECTED: ['CONNECTED'],
  TIMEOUT: ['TIMEOUT'],
  DISCONNECTED: ['DISCONNECTED'],
};

async function walk(
  service: ConnectionService,
  id: string,
  state: ConnectionState,
): Promise<ConnectionRow> {
  let row = await service.create({ id, kind: 'external', target: '' }, 'test');
  for (const to of WAYS[state]) {
    row = await service.report({ id, attempt: row.attempt, to, reason: 'on the way' }, 'test');
  }
  return row;
}
