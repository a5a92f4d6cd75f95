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

export interface CoreTrio {
  /** `restart` puts another one into its place. */
  readonly nodes: readonly TrioCore[];
  readonly network: TestNetwork;
  /** Stops one and starts it again on its disk; resolves when all hear each other. */
  readonly restart: (index: number) => Promise<void>;
}

const NAMES = ['node-1', 'node-2', 'node-3'];

/** Three cores in this process, linked in memory, on memory stores and the real clock. */
export async function startCoreTrio(
  t: ExecutionContext,
  options: Partial<CoreOptions> & {
    readonly fanoutOf?: (index: number) => Fanout;
    readonly webhookSenderOf?: (index: number) => WebhookSender;
    readonly flushMsOf?: (index: number) => number;
  } = {},
): Promise<CoreTrio> {
  const { fanoutOf, webhookSenderOf, flushMsOf, ...rest } = options;
  const network = new TestNetwork();
  const members = NAMES.map(toMember);
  const begin = async (index: number, location: MemoryStoreLocation): Promise<TrioCore> => {
    const self = members[index]!;
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
  };
  const fresh = members.map((_, index) =>
    begin(
      index,
      new MemoryStoreLocation({ runtime: testRuntime, flushMs: () => flushMsOf?.(index) ?? 0 }),
    ),
  );
  const nodes = await Promise.all(fresh);
  t.teardown(async () => {
    for (const node of nodes) await end(node);
  });
  await Promise.all(nodes.map(({ core }) => core.start()));
  const whole = () =>
    until('every node hears the others', () =>
      nodes.every(({ core }) => core.replicator.livePeers() === 2 && core.replicator.mayWrite()),
    );
  await whole();
  const restart = async (index: number): Promise<void> => {
    const before = nodes[index]!;
    await end(before);
    nodes[index] = await begin(index, before.location);
    await nodes[index].core.start();
    await whole();
  };
  return { nodes, network, restart };
}

async function end({ core, store }: TrioCore): Promise<void> {
  await core.stop();
  await store.close();
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
