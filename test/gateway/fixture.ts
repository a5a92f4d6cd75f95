import type { ExecutionContext } from 'ava';
import { ClientGateway, type ClientGatewayOptions } from '../../src/gateway/gateway.ts';
import { loadNative } from '../../src/gateway/socket-server/uws-native.ts';
import { createUwsServer } from '../../src/gateway/socket-server/uws.ts';
import { createWsServer } from '../../src/gateway/socket-server/ws.ts';
import type { SocketServerFactory } from '../../src/gateway/socket-server/port.ts';
import { systemRuntime } from '../../src/runtime/system.ts';
import { EasyClient, type EasyClientOptions } from '../support/clients/easy-client.ts';
import { FakeServices } from './fake-services.ts';

export const ADAPTERS: readonly (readonly [string, SocketServerFactory])[] = [
  ['ws', createWsServer],
  ...(loadNative() ? ([['uws', createUwsServer]] as const) : []),
];

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

export interface GatewayFixture {
  readonly gateway: ClientGateway;
  readonly fake: FakeServices;
  readonly url: string;
  readonly port: number;
  readonly log: LogLine[];
  /** Not connected yet; stopped with the test. */
  readonly client: (uid: string, options?: Partial<EasyClientOptions>) => EasyClient;
}

export async function startGateway(
  t: ExecutionContext,
  factory: SocketServerFactory,
  options: Partial<ClientGatewayOptions> = {},
): Promise<GatewayFixture> {
  const fake = new FakeServices();
  const log: LogLine[] = [];
  const write =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}) =>
      void log.push({ level, message, fields });
  const gateway = new ClientGateway({
    services: fake.services,
    runtime: systemRuntime,
    log: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
    socketServerFactory: factory,
    auth: 'none',
    nodeId: 4_294_967_301n,
    ...options,
  });
  fake.fanout = gateway.fanout;
  const port = await gateway.start('127.0.0.1', 0);
  t.teardown(() => gateway.stop(1000));
  const url = `ws://127.0.0.1:${port}`;
  return {
    gateway,
    fake,
    url,
    port,
    log,
    client(uid, clientOptions = {}) {
      const client = new EasyClient({ url, uid, ...clientOptions });
      t.teardown(() => client.stop());
      return client;
    },
  };
}
