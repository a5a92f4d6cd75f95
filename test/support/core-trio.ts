import type { ExecutionContext } from 'ava';
import { StaticMembership } from '../../src/cluster/membership/static.ts';
import type { MemberId } from '../../src/core/ids.ts';
import type { Member } from '../../src/core/member.ts';
import type { Fanout } from '../../src/messaging/port.ts';
import { createNodeCore, type CoreOptions, type NodeCore } from '../../src/node/core.ts';
import { silentLog } from '../../src/observability/log.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import type { Store } from '../../src/storage/port.ts';
import type { WebhookSender } from '../../src/webhooks/port.ts';
import type { VirtualProcess } from '../../scripts/simulate/world/virtual-process.ts';
import { TestNetwork } from '../cluster/replication/network.ts';
import { testRuntime } from './runtime.ts';
import { until } from './until.ts';

export interface TrioCore {
  readonly core: NodeCore;
  /** What is written here is written behind the node's back. */
  readonly store: Store;
  /** The disk of the store. */
  readonly location: MemoryStoreLocation;
}

const NAMES = ['node-1', 'node-2', 'node-3'];

/** Three cores in this process, linked in memory, on memory stores and the real clock. */
export async function startCoreTrio(
  t: ExecutionContext,
  options: Partial<CoreOptions> & {
    readonly fanoutOf?: (index: number) => Fanout;
    readonly webhookSenderOf?: (index: number) => WebhookSender;
  } = {},
): Promise<{ readonly nodes: readonly TrioCore[]; readonly network: TestNetwork }> {
  const { fanoutOf, webhookSenderOf, ...rest } = options;
  const network = new TestNetwork();
  const members = NAMES.map(toMember);
  const nodes = await Promise.all(
    members.map(async (self, index): Promise<TrioCore> => {
      const location = new MemoryStoreLocation({ runtime: testRuntime });
      const store = await location.open();
      const process = realProcess();
      const core = await createNodeCore(
        { cluster: 'test', self, slots: 32, ...rest },
        {
          ...{ runtime: testRuntime, store, log: silentLog },
          membership: new StaticMembership({ members, slots: 32 }),
          transport: network.transport(self.id, process),
          fanout: fanoutOf?.(index) ?? { deliver: () => {}, notify: () => {} },
          webhookSender: webhookSenderOf?.(index),
        },
        { onRebuildNeeded: () => {} },
      );
      return { core, store, location };
    }),
  );
  t.teardown(async () => {
    for (const { core, store } of nodes) {
      await core.stop();
      await store.close();
    }
  });
  await Promise.all(nodes.map(({ core }) => core.start()));
  await until('every node hears the others', () =>
    nodes.every(({ core }) => core.replicator.livePeers() === 2 && core.replicator.mayWrite()),
  );
  return { nodes, network };
}

function toMember(name: string, slot: number): Member {
  const address = `127.0.0.1:${slot + 1}`;
  return {
    ...{ id: name as MemberId, slot, peerAddress: address, adminAddress: address },
    clientAddress: `ws://${address}`,
    httpAddress: `http://${address}`,
  };
}

/** The network's idea of a process, with the timers of this one. */
function realProcess(): VirtualProcess {
  const process = {
    timers: testRuntime.timers,
    enter: (task: () => void) => task(),
    kill: () => {},
  };
  return process as unknown as VirtualProcess;
}
