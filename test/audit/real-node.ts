import type { ExecutionContext } from 'ava';
import type { ChannelKey } from '../../src/core/ids.ts';
import { ClientGateway } from '../../src/gateway/gateway.ts';
import type { Socket, SocketServerFactory } from '../../src/gateway/socket-server/port.ts';
import type { ClientSession } from '../../src/gateway/session/session.ts';
import type { Repair } from '../../src/audit/port.ts';
import type { NodeCore } from '../../src/node/core.ts';
import { silentLog } from '../../src/observability/log.ts';
import { systemRuntime } from '../../src/runtime/system.ts';
import { EasyClient } from '../support/clients/easy-client.ts';
import { uid } from '../support/ids.ts';
import { message, startLoneCore } from '../support/lone-core.ts';

export interface RealNode {
  readonly url: string;
  readonly core: NodeCore;
  readonly repairs: Repair[];
  readonly connect: (name: string) => Promise<EasyClient>;
  readonly socketOf: (name: string) => Socket<ClientSession>;
  readonly subscribe: (channel: ChannelKey, ...names: string[]) => Promise<void>;
  readonly publish: (channel: ChannelKey, sender: string, text: string) => Promise<void>;
}

/** A lone node's core behind the real client port. */
export async function startRealNode(
  t: ExecutionContext,
  factory: SocketServerFactory,
): Promise<RealNode> {
  const sockets = new Set<Socket<ClientSession>>();
  const lone: { core?: NodeCore } = {};
  const gateway = new ClientGateway({
    services: () => lone.core!.services,
    runtime: systemRuntime,
    log: silentLog,
    socketServerFactory: (handlers, limits) =>
      factory(
        {
          ...handlers,
          onOpen(socket) {
            sockets.add(socket as unknown as Socket<ClientSession>);
            handlers.onOpen(socket);
          },
        },
        limits,
      ),
    auth: 'none',
    nodeId: 1n,
  });
  const started = await startLoneCore(undefined, { fanout: gateway.fanout });
  lone.core = started.core;
  const { core } = started;
  const port = await gateway.start('127.0.0.1', 0);
  t.teardown(async () => {
    await gateway.stop(500);
    await started.stop();
  });
  const repairs: Repair[] = [];
  core.repairs.add({ onRepair: (repair) => void repairs.push(repair) });
  return {
    ...{ core, repairs, url: `ws://127.0.0.1:${port}` },
    async connect(name) {
      const client = new EasyClient({ url: `ws://127.0.0.1:${port}`, uid: name });
      t.teardown(() => client.stop());
      await client.connect();
      return client;
    },
    socketOf: (name) => [...sockets].find((socket) => socket.data?.uid === name)!,
    async subscribe(channel, ...names) {
      const request = { channel, uids: names.map(uid), cause: 'admin', waitFor: 'local' } as const;
      t.true((await core.services.subscriptions.subscribe(request)).ok);
    },
    async publish(channel, sender, text) {
      const request = { ...message(channel, sender, text), cause: 'http' } as const;
      t.true((await core.services.publisher.publish(request)).ok);
    },
  };
}
