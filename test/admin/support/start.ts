import type { ExecutionContext } from 'ava';
import { AdminClient } from '../../../src/admin/client.ts';
import { EventHub } from '../../../src/admin/event-hub.ts';
import { AdminServer, type AdminServerOptions } from '../../../src/admin/server.ts';
import { silentLog } from '../../../src/observability/log.ts';
import { systemRuntime } from '../../../src/runtime/system.ts';
import { fakeCluster, FakeServices } from './fakes.ts';

export interface Started {
  readonly server: AdminServer;
  readonly services: FakeServices;
  readonly events: EventHub;
  readonly client: AdminClient;
  readonly address: string;
  readonly port: number;
}

/** A server on a port of its own, ended with the test. */
export async function startAdmin(
  t: ExecutionContext,
  options: Partial<AdminServerOptions> & { readonly clientToken?: string } = {},
): Promise<Started> {
  const services = new FakeServices();
  const events = new EventHub();
  const server = new AdminServer({
    services,
    events,
    cluster: fakeCluster(),
    listing: services.subscriptions,
    tokens: [],
    runtime: systemRuntime,
    log: silentLog,
    ...options,
  });
  const port = await server.start('127.0.0.1', 0);
  const address = `127.0.0.1:${port}`;
  const client = new AdminClient({ address, token: options.clientToken, timeoutMs: 5_000 });
  t.teardown(async () => {
    client.close();
    await server.stop(100);
  });
  return { server, services, events, client, address, port };
}

export async function collect<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const result: Value[] = [];
  for await (const value of values) result.push(value);
  return result;
}
