import { createRequire } from 'node:module';
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import test, { type ExecutionContext } from 'ava';
import { AdminClient, type AdminCallError } from '../../src/admin/client.ts';
import { AdminServer } from '../../src/admin/server.ts';
import { silentLog } from '../../src/observability/log.ts';
import { systemRuntime } from '../../src/runtime/system.ts';
import { fakeCluster, FakeServices } from './support/fakes.ts';
import { startAdmin } from './support/start.ts';
import { EventHub } from '../../src/admin/event-hub.ts';

const require = createRequire(import.meta.url);
const health = require('grpc-health-check') as { service: ServiceDefinition };
const reflectionProto =
  require.resolve('@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto');
const reflection = loadSync(reflectionProto, { oneofs: true, enums: String });
const reflectionService = reflection['grpc.reflection.v1.ServerReflection'] as ServiceDefinition;

function rawClient(t: ExecutionContext, address: string): Client {
  const client = new Client(address, credentials.createInsecure());
  t.teardown(() => client.close());
  return client;
}

function bearer(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

function checkHealth(client: Client, service: string, method = 'check'): Promise<unknown> {
  const { path, requestSerialize, responseDeserialize } =
    health.service[method] ?? health.service[method[0]!.toUpperCase() + method.slice(1)]!;
  return new Promise((resolve, reject) => {
    const done = (error: ServiceError | null, reply?: object): void =>
      error ? reject(error) : resolve(reply);
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service }, done);
  });
}

function reflect(client: Client, request: object, metadata: Metadata): Promise<unknown> {
  const { path, requestSerialize, responseDeserialize } =
    reflectionService['ServerReflectionInfo']!;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
  return new Promise((resolve, reject) => {
    call.on('data', resolve);
    call.on('error', reject);
    call.write(request);
    call.end();
  });
}

test('the right token opens, each of two while they rotate; the wrong ones do not', async (t) => {
  const calls: string[] = [];
  const onCall = (method: string, code: status): void => void calls.push(`${method} ${code}`);
  const { address } = await startAdmin(t, { tokens: ['old-token', 'new-token'], onCall });
  const ask = async (token: string | undefined): Promise<string> => {
    const client = new AdminClient({ address, token });
    try {
      return (await client.members()).member;
    } catch (error) {
      t.false((error as AdminCallError).unreachable);
      return `${(error as AdminCallError).code}: ${(error as AdminCallError).message}`;
    } finally {
      client.close();
    }
  };
  t.is(await ask('old-token'), 'a');
  t.is(await ask('new-token'), 'a');
  t.is(
    await ask(undefined),
    'UNAUTHENTICATED: no token: send metadata "authorization: Bearer <token>"',
  );
  t.is(await ask('new-toke'), 'UNAUTHENTICATED: the token is not valid on this node');
  t.is(await ask('new-token2'), 'UNAUTHENTICATED: the token is not valid on this node');
  const path = '/holdfast.admin.v1.Admin/Members';
  t.deepEqual(calls, [`${path} 0`, `${path} 0`, `${path} 16`, `${path} 16`, `${path} 16`]);
});

test('an authorization of another scheme is refused with the form that is expected', async (t) => {
  const { address, services } = await startAdmin(t, { tokens: ['T'] });
  const client = rawClient(t, address);
  const metadata = new Metadata();
  metadata.set('authorization', 'Basic VDpU');
  const error = await t.throwsAsync<ServiceError>(reflect(client, { listServices: '' }, metadata));
  t.is(error.code, status.UNAUTHENTICATED);
  t.regex(error.details, /Bearer <token>/);
  t.is(services.subscriptions.requests.length, 0);
});

test('a stream without a token ends at once and holds nothing', async (t) => {
  const { address, server } = await startAdmin(t, { tokens: ['T'] });
  const client = new AdminClient({ address });
  t.teardown(() => client.close());
  const stream = client.openBulk();
  const error = await new Promise<ServiceError>((resolve) => {
    stream.on('error', resolve);
    stream.on('data', () => {});
    stream.write({ batchId: 1, uids: ['u'] });
  });
  t.is(error.code, status.UNAUTHENTICATED);
  t.is(server.openStreams(), 0);
});

test('without tokens the service listens on loopback only', async (t) => {
  const options = {
    services: new FakeServices(),
    cluster: fakeCluster(),
    events: new EventHub(),
    runtime: systemRuntime,
    log: silentLog,
    tokens: [],
  };
  const server = new AdminServer(options);
  const error = await t.throwsAsync(server.start('0.0.0.0', 0));
  t.like(error, { code: 'ADMIN_OPEN_TO_STRANGERS' });
  t.regex(error.message, /admin\.token: is not set/);
  await server.stop(10);
});

test('health Check is open to probes and follows setServing, Watch and List need the token', async (t) => {
  const { address, server } = await startAdmin(t, { tokens: ['T'] });
  const client = rawClient(t, address);
  t.deepEqual(await checkHealth(client, ''), { status: 'SERVING' });
  server.setServing(false);
  t.deepEqual(await checkHealth(client, 'holdfast.admin.v1.Admin'), { status: 'NOT_SERVING' });
  const unknown = await t.throwsAsync<ServiceError>(checkHealth(client, 'else'));
  t.is(unknown.code, status.NOT_FOUND);
  const list = await t.throwsAsync<ServiceError>(checkHealth(client, '', 'list'));
  t.is(list.code, status.UNAUTHENTICATED);
});

test('reflection lists the service and gives its file, with the token only', async (t) => {
  const { address } = await startAdmin(t, { tokens: ['T'] });
  const client = rawClient(t, address);
  const listed = await reflect(client, { listServices: '' }, bearer('T'));
  t.regex(JSON.stringify(listed), /holdfast\.admin\.v1\.Admin/);
  const symbol = { fileContainingSymbol: 'holdfast.admin.v1.Admin' };
  const file = await reflect(client, symbol, bearer('T'));
  t.is((file as { messageResponse: string }).messageResponse, 'fileDescriptorResponse');
  const refused = await t.throwsAsync<ServiceError>(reflect(client, symbol, bearer(undefined)));
  t.is(refused.code, status.UNAUTHENTICATED);
});

test('a node that is not there is unreachable, which is not a refusal', async (t) => {
  const client = new AdminClient({ address: '127.0.0.1:1', timeoutMs: 2_000 });
  t.teardown(() => client.close());
  const error = await t.throwsAsync<AdminCallError>(client.members());
  t.true(error.unreachable);
  t.regex(error.message, /no answer from 127\.0\.0\.1:1/);
});
