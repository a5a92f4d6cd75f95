import { parseMemberId, type ChannelKey } from '../../src/core/ids.ts';
import { StaticMembership } from '../../src/cluster/membership/static.ts';
import type { Repair } from '../../src/audit/port.ts';
import type { Delivery, Fanout } from '../../src/messaging/port.ts';
import { createNodeCore, type NodeCore } from '../../src/node/core.ts';
import { silentLog } from '../../src/observability/log.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import type { Store } from '../../src/storage/port.ts';
import { uid } from '../support/ids.ts';
import { message, noPeers, RecordingSession } from '../support/lone-core.ts';
import { createVirtualRuntime, type VirtualRuntime } from '../support/virtual-runtime.ts';

/** Delivers to sessions by what they have joined, after the check that the gateway makes. */
export class CheckingFanout implements Fanout {
  readonly sessions = new Set<RecordingSession>();
  /** Deliveries do not check: as a gateway that trusts its topics would. */
  trusting = false;
  core: NodeCore | undefined;

  deliver(delivery: Delivery): void {
    const { channel } = delivery;
    const { sessions } = this.core!.services;
    const members = [...this.sessions].filter((session) => session.hasJoined(channel)).length;
    if (!this.trusting && members !== sessions.sessionsIn(channel)) sessions.putRight(channel);
    for (const session of this.sessions) {
      if (session.hasJoined(channel) && session.id !== delivery.exceptSession) {
        session.deliver(delivery);
      }
    }
  }

  notify(): void {}
}

export interface VirtualCore {
  readonly core: NodeCore;
  readonly store: Store;
  readonly runtime: VirtualRuntime;
  readonly fanout: CheckingFanout;
  readonly repairs: Repair[];
  readonly attach: (name: string, deviceFlag?: number) => Promise<RecordingSession>;
  readonly subscribe: (channel: ChannelKey, ...names: string[]) => Promise<void>;
  readonly publish: (channel: ChannelKey, sender: string, text: string) => Promise<void>;
}

/** A lone node in virtual time, on a store in memory. */
export async function startVirtualCore(): Promise<VirtualCore> {
  const id = parseMemberId('n1');
  if (!id.ok) throw new Error(id.error);
  const runtime = createVirtualRuntime();
  const self = {
    id: id.value,
    slot: 0,
    peerAddress: '127.0.0.1:1',
    clientAddress: 'ws://127.0.0.1:1',
    httpAddress: 'http://127.0.0.1:1',
    adminAddress: '127.0.0.1:1',
  };
  const fanout = new CheckingFanout();
  const location = new MemoryStoreLocation({ runtime });
  const store = await runtime.settle(location.open());
  const core = await runtime.settle(
    createNodeCore(
      { cluster: 'test', self, slots: 1 },
      {
        ...{ runtime, store, fanout, transport: noPeers, log: silentLog },
        membership: new StaticMembership({ members: [self], slots: 1 }),
      },
      { onRebuildNeeded: () => {} },
    ),
  );
  fanout.core = core;
  await runtime.settle(core.start());
  const repairs: Repair[] = [];
  core.repairs.add({ onRepair: (repair) => void repairs.push(repair) });
  return {
    ...{ core, store, runtime, fanout, repairs },
    async attach(name, deviceFlag) {
      const session = new RecordingSession(name, deviceFlag);
      fanout.sessions.add(session);
      await runtime.settle(core.routing.attach(session));
      return session;
    },
    async subscribe(channel, ...names) {
      const request = { channel, uids: names.map(uid), cause: 'admin', waitFor: 'local' } as const;
      await runtime.settle(core.services.subscriptions.subscribe(request));
    },
    async publish(channel, sender, text) {
      const outcome = await runtime.settle(
        core.services.publisher.publish({ ...message(channel, sender, text), cause: 'http' }),
      );
      if (!outcome.ok) throw new Error(outcome.message);
    },
  };
}

export function texts(session: RecordingSession): string[] {
  return session.delivered.map(({ message: { payload } }) => new TextDecoder().decode(payload));
}
