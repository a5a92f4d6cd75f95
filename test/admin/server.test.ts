import test from 'ava';
import type { AdminCallError } from '../../src/admin/client.ts';
import type { MemberId } from '../../src/core/ids.ts';
import { REASON, refuse } from '../../src/core/reason-code.ts';
import { FakeSession } from './support/fakes.ts';
import { collect, startAdmin } from './support/start.ts';

const UIDS = ['u1', 'u2', 'u3'];

test('Subscribe writes, waits as asked and gives a receipt for each uid', async (t) => {
  const { client, services } = await startAdmin(t);
  services.subscriptions.missing = ['b' as MemberId];
  const reply = await client.subscribe({
    channelId: 'g',
    channelType: 2,
    uids: UIDS,
    waitFor: 'WAIT_FOR_QUORUM',
  });
  t.is(reply.receipts.length, 3);
  t.regex(reply.receipts[0]!, /^00000000000000aa:\d+:1$/);
  t.is(reply.reached, 'WAIT_FOR_LOCAL');
  t.deepEqual(reply.missing, ['b']);
  const [request] = services.subscriptions.requests;
  t.like(request, { channel: '2/g', waitFor: 'quorum', cause: 'admin', action: 'subscribe' });
});

test('wait_for is all where it is left out', async (t) => {
  const { client, services } = await startAdmin(t);
  await client.subscribe({ channelId: 'g', channelType: 2, uids: UIDS });
  t.is(services.subscriptions.requests[0]!.waitFor, 'all');
});

test('Unsubscribe presents receipts', async (t) => {
  const { client, services } = await startAdmin(t);
  const receipts = ['00000000000000aa:3:17'];
  await client.unsubscribe({ channelId: 'g', channelType: 2, uids: ['u1'], receipts });
  t.deepEqual(services.subscriptions.requests[0]!.receipts, [
    { actor: '00000000000000aa', shard: 3, counter: 17 } as never,
  ]);
});

const BAD = [
  { field: 'uids', uids: [] },
  { field: 'uids[1]', uids: ['u1', 'a@b'] },
  { field: 'uids[0]', uids: [''] },
  { field: 'uids[2]', uids: ['u1', 'u2', 'x'.repeat(257)] },
  { field: 'uids', uids: Array.from({ length: 10_001 }, (_, i) => `u${i}`) },
  { field: 'channel_id', channelId: '' },
  { field: 'channel_id', channelId: 'a\u0001b' },
  { field: 'channel_type', channelType: 0 },
  { field: 'channel_type', channelType: 11 },
  { field: 'channel_id', channelId: 'alone', channelType: 1 },
  { field: 'channel_id', channelId: 'b@a', channelType: 1 },
  { field: 'wait_for', waitFor: 9 as never },
  { field: 'receipts[0]', receipts: ['nonsense'] },
] as const;

for (const [index, { field, ...change }] of BAD.entries()) {
  test(`bad input ${index}: INVALID_ARGUMENT names ${field} and nothing is written`, async (t) => {
    const { client, services } = await startAdmin(t);
    const good = { channelId: 'g', channelType: 2, uids: ['u1'] };
    const error = await t.throwsAsync<AdminCallError>(client.unsubscribe({ ...good, ...change }));
    t.is(error.code, 'INVALID_ARGUMENT');
    t.is(error.field, field);
    t.true(error.message.startsWith(`${field}: `), error.message);
    t.is(services.subscriptions.requests.length, 0);
  });
}

const REFUSALS = [
  [REASON.systemError, 'UNAVAILABLE'],
  [REASON.banned, 'PERMISSION_DENIED'],
  [REASON.disbanded, 'FAILED_PRECONDITION'],
  [REASON.channelMissing, 'NOT_FOUND'],
  [REASON.rateLimited, 'RESOURCE_EXHAUSTED'],
  [REASON.channelIdInvalid, 'INVALID_ARGUMENT'],
  [REASON.idempotencyConflict, 'ALREADY_EXISTS'],
] as const;

for (const [reason, code] of REFUSALS) {
  test(`a refusal with reason ${reason} becomes ${code} and is not taken for silence`, async (t) => {
    const { client, services } = await startAdmin(t);
    services.publishOutcome = refuse(reason, 'because of this');
    const error = await t.throwsAsync<AdminCallError>(
      client.publish({ sender: 'u1', channelId: 'g', channelType: 2 }),
    );
    t.like(error, { code, reason, message: 'because of this', unreachable: false });
  });
}

test('a defect is logged and its text stays inside', async (t) => {
  const logged: unknown[] = [];
  const nothing = (): void => {};
  const log = {
    debug: nothing,
    info: nothing,
    warn: nothing,
    error: (_message: string, fields?: Record<string, unknown>) => void logged.push(fields),
  };
  const { client, services } = await startAdmin(t, { log });
  services.subscriptions.defect = new Error('secret detail');
  const error = await t.throwsAsync<AdminCallError>(
    client.subscribe({ channelId: 'g', channelType: 2, uids: ['u1'] }),
  );
  t.is(error.code, 'INTERNAL');
  t.false(error.message.includes('secret'));
  t.is(logged.length, 1);
});

test('Publish passes everything on, and its message id keeps all its digits', async (t) => {
  const { client, services } = await startAdmin(t);
  const reply = await client.publish({
    sender: 'u1',
    channelId: 'g',
    channelType: 2,
    payload: Buffer.from([1, 2, 255]),
    clientMsgNo: 'n1',
    redDot: true,
    expireSeconds: 60,
  });
  t.deepEqual(reply, {
    messageId: '4611686018427387905',
    messageSeq: 33,
    clientMsgNo: 'n1',
    disks: 2,
  });
  t.like(services.published[0], { sender: 'u1', channel: '2/g', redDot: true, expire: 60 });
  t.deepEqual([...services.published[0]!.payload], [1, 2, 255]);
});

test('Publish to a person may name the receiver alone; a number is drawn where none is given', async (t) => {
  const { client, services } = await startAdmin(t);
  await client.publish({ sender: 'a', channelId: 'b', channelType: 1 });
  await client.publish({ sender: 'b', channelId: 'a', channelType: 1 });
  const [first, second] = services.published;
  t.is(first!.channel, second!.channel);
  t.regex(first!.channel, /^1\/(a@b|b@a)$/);
  t.regex(first!.clientMsgNo, /^[0-9a-f]{32}$/);
  t.not(first!.clientMsgNo, second!.clientMsgNo);
});

test('Publish refuses what is too large', async (t) => {
  const { client } = await startAdmin(t, { limits: { payloadBytesMax: 10 } });
  const good = { sender: 'u1', channelId: 'g', channelType: 2 };
  const large = client.publish({ ...good, payload: Buffer.alloc(11) });
  t.is((await t.throwsAsync<AdminCallError>(large)).field, 'payload');
  const long = client.publish({ ...good, clientMsgNo: 'x'.repeat(129) });
  t.is((await t.throwsAsync<AdminCallError>(long)).field, 'client_msg_no');
});

test('a request over the limit is refused before it is decoded', async (t) => {
  const { client } = await startAdmin(t, { limits: { requestBytesMax: 1000 } });
  const uids = Array.from({ length: 100 }, (_, i) => `user-number-${i}`);
  const error = await t.throwsAsync<AdminCallError>(
    client.subscribe({ channelId: 'g', channelType: 2, uids }),
  );
  t.is(error.code, 'RESOURCE_EXHAUSTED');
});

test('Sessions streams all, or those of one user, up to the limit', async (t) => {
  const { client, services } = await startAdmin(t);
  for (let i = 1; i <= 100; i++) services.connected.push(new FakeSession(i, `u${i % 3}`));
  t.is((await collect(client.sessions())).length, 100);
  t.is((await collect(client.sessions({ limit: 5 }))).length, 5);
  const [first, ...rest] = await collect(client.sessions({ uid: 'u1' }));
  t.is(rest.length, 33);
  t.deepEqual(first, {
    id: 1,
    uid: 'u1',
    deviceFlag: 1,
    deviceLevel: 1,
    deviceId: 'device',
    connectedAtMs: 1_700_000_000_000,
    remoteAddress: '10.1.1.1',
    protocol: 'json-rpc',
    channels: 2,
  });
});

test('KickSession ends one session or all of a user, and says when there is none', async (t) => {
  const { client, services } = await startAdmin(t);
  const sessions = [new FakeSession(1, 'u'), new FakeSession(2, 'u'), new FakeSession(3, 'v')];
  services.connected.push(...sessions);
  t.deepEqual(await client.kickSession({ id: 3, text: 'bye' }), { kicked: 1 });
  t.deepEqual(sessions[2]!.kicks, ['12 bye']);
  t.deepEqual(await client.kickSession({ uid: 'u' }), { kicked: 2 });
  t.deepEqual(sessions[0]!.kicks, ['12 kicked by an operator']);
  const none = await t.throwsAsync<AdminCallError>(client.kickSession({ id: 9 }));
  t.is(none.code, 'NOT_FOUND');
  const who = await t.throwsAsync<AdminCallError>(client.kickSession({}));
  t.is(who.field, 'who');
});

test('Members shows roster, live, replication and status', async (t) => {
  const { client } = await startAdmin(t);
  const reply = await client.members();
  t.like(reply, {
    member: 'a',
    cluster: 'test',
    version: '1.2.3',
    rosterEpoch: 7,
    uptimeMs: 1235,
    vectorDigest: '0000beef',
    mayWrite: true,
    membership: { state: 'ok' },
    store: { state: 'failing', sinceMs: 5, reason: 'disk is full' },
  });
  const [a, b, c] = reply.members;
  t.deepEqual([a!.live, b!.live, c!.live], [true, true, false]);
  t.is(a!.peer, null);
  t.like(b!.peer, { live: true, behind: 3, unacknowledgedBytes: 10, lastError: '' });
  t.is(c!.slot, 2);
});

test('Digest names the member', async (t) => {
  const { client } = await startAdmin(t);
  const digest = 'fedcba9876543210';
  t.deepEqual(await client.digest(), { member: 'a', subscriptions: 0, digest });
});

test('stop ends open streams with UNAVAILABLE and frees the port', async (t) => {
  const { client, server, port } = await startAdmin(t);
  const watching = client.watch({}, new AbortController().signal);
  t.truthy((await watching.next()).value);
  await server.stop(1_000);
  const error = await t.throwsAsync<AdminCallError>(watching.next());
  t.like(error, { code: 'UNAVAILABLE', message: 'the node is stopping' });
  t.is(server.openStreams(), 0);
  const again = await startAdmin(t);
  t.not(again.port, 0);
  t.not(port, 0);
});

test('a taken port is refused with the address', async (t) => {
  const { port } = await startAdmin(t);
  const other = await startAdmin(t);
  const error = await t.throwsAsync(other.server.start('127.0.0.1', port));
  t.regex(error.message, new RegExp(`127.0.0.1:${port}`));
});
