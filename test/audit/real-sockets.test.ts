import test, { type ExecutionContext } from 'ava';
import { subscriptionKey } from '../../src/core/row-key.ts';
import { personChannel } from '../../src/core/placement.ts';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import { ClientGateway } from '../../src/gateway/gateway.ts';
import { topicOf } from '../../src/gateway/fanout.ts';
import type { Socket, SocketServerFactory } from '../../src/gateway/socket-server/port.ts';
import type { ClientSession } from '../../src/gateway/session/session.ts';
import type { Repair } from '../../src/audit/port.ts';
import type { NodeCore } from '../../src/node/core.ts';
import { silentLog } from '../../src/observability/log.ts';
import { systemRuntime } from '../../src/runtime/system.ts';
import { ADAPTERS } from '../gateway/fixture.ts';
import { EasyClient } from '../support/clients/easy-client.ts';
import { group, uid } from '../support/ids.ts';
import { message, startLoneCore } from '../support/lone-core.ts';
import { until } from '../support/until.ts';

interface RealNode {
  readonly core: NodeCore;
  readonly repairs: Repair[];
  readonly connect: (name: string) => Promise<EasyClient>;
  readonly socketOf: (name: string) => Socket<ClientSession>;
  readonly subscribe: (channel: ChannelKey, ...names: string[]) => Promise<void>;
  readonly publish: (channel: ChannelKey, sender: string, text: string) => Promise<void>;
}

/** A lone node's core behind the real client port. */
async function start(t: ExecutionContext, factory: SocketServerFactory): Promise<RealNode> {
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
    ...{ core, repairs },
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

const textsOf = (client: EasyClient): string[] =>
  client.received.map(({ payload }) => Buffer.from(payload, 'base64').toString());
const found = ({ layer, action, cause }: Repair): string => `${layer} ${action} ${cause}`;

for (const [name, factory] of ADAPTERS) {
  test(`S2-3 ${name}: a live socket dropped from its topic loses no message, in a group and in a person channel`, async (t) => {
    const { repairs, connect, socketOf, subscribe, publish } = await start(t, factory);
    const [ann, bob] = [await connect('ann'), await connect('bob')];
    const pair = personChannel('ann' as Uid, 'bob' as Uid);
    await subscribe(group('g'), 'ann', 'bob');
    await subscribe(pair, 'ann', 'bob');
    socketOf('ann').leave(group('g'));
    await publish(group('g'), 'x', 'one');
    socketOf('bob').leave(topicOf(pair, 'bob' as Uid));
    await publish(pair, 'ann', 'two');
    await until('all arrived', () => textsOf(ann).length === 2 && textsOf(bob).length === 2);
    t.deepEqual(textsOf(ann), ['one', 'two']);
    t.deepEqual(textsOf(bob), ['one', 'two']);
    t.deepEqual(repairs.map(found), ['sockets joined topic-lost', 'sockets joined topic-lost']);
  });

  test(`S2-3 ${name}: an entry dropped from the index and its socket from the topic: the next message puts both right`, async (t) => {
    const { core, connect, socketOf, subscribe, publish } = await start(t, factory);
    const ann = await connect('ann');
    await subscribe(group('g'), 'ann');
    t.true(core.routing.damageEntry(group('g'), uid('ann')));
    t.false(socketOf('ann').isIn(group('g')));
    await publish(group('g'), 'x', 'one');
    await until('it arrived', () => textsOf(ann).length === 1);
    t.true(core.services.subscriptions.isSubscribed(group('g'), uid('ann')));
    t.not(core.replica.read(subscriptionKey(group('g'), uid('ann'))).length, 0);
  });

  test(`S2-3 ${name}: sessions that are still connecting are no reason to repair anything`, async (t) => {
    const { repairs, connect, subscribe, publish } = await start(t, factory);
    await subscribe(group('g'), ...Array.from({ length: 20 }, (_, i) => `u${i}`));
    const connecting = Promise.all(Array.from({ length: 20 }, (_, i) => connect(`u${i}`)));
    for (let i = 0; i < 30; i++) await publish(group('g'), 'x', `m${i}`);
    await connecting;
    await publish(group('g'), 'x', 'last');
    for (const client of await connecting) {
      await until('the last one arrived', () => textsOf(client).includes('last'));
    }
    t.deepEqual(repairs, []);
  });
}
