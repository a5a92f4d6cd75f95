import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { OperationLog } from '../../../src/audit/operations/operation-log.ts';
import {
  decodeRecords,
  encodeRecords,
  entriesIn,
  frontCode,
  frontDecode,
  joinRows,
  toEntries,
} from '../../../src/audit/operations/record.ts';
import { formatDot } from '../../../src/core/dot.ts';
import type { Operation } from '../../../src/core/operation.ts';
import { REASON, refuse } from '../../../src/core/reason-code.ts';
import { REMOVAL } from '../../../src/core/row.ts';
import { denyKey, subscriptionKey } from '../../../src/core/row-key.ts';
import { silentLog } from '../../../src/observability/log.ts';
import { MemoryStoreLocation } from '../../../src/storage/memory-store.ts';
import type { Store } from '../../../src/storage/port.ts';
import type { ActorId, ChannelKey } from '../../../src/core/ids.ts';
import { group, uid } from '../../support/ids.ts';
import { message, startLoneCore } from '../../support/lone-core.ts';
import { testRuntime } from '../../support/runtime.ts';
import { until } from '../../support/until.ts';

const GROUP = group('g1');
const PAIR = '1/b@a' as ChannelKey;
const ACTOR = '00000000000000aa' as ActorId;

function operationOf(first: number, uids: readonly string[], tag = 0): Operation {
  const writes = uids.map((name, offset) => ({
    offset,
    key: subscriptionKey(GROUP, uid(name)),
    tag,
    context: [],
    value: new Uint8Array(0),
  }));
  return { actor: ACTOR, shard: 3, first, count: uids.length, hlc: 1, writes };
}

async function openLog(t: ExecutionContext, entriesMax = 1_000) {
  const location = new MemoryStoreLocation({ runtime: testRuntime });
  const store = await location.open();
  t.teardown(() => store.close());
  const options = { runtime: testRuntime, log: silentLog, entriesMax };
  const open = (on: Store) => OperationLog.open({ ...options, store: on });
  return { location, store, log: await open(store), open };
}

const flushed = (store: Store) =>
  new Promise<void>((resolve) => {
    store.stage([{ key: 'n/x', value: new Uint8Array(1) }], resolve);
  });

test('S2-8 who, channel, dot, cause, result and time of every operation, newest first', async (t) => {
  const { core, stop } = await startLoneCore();
  t.teardown(stop);
  const { subscriptions, directory, publisher } = core.services;
  const how = { channel: GROUP, waitFor: 'local' } as const;
  const first = await subscriptions.subscribe({
    ...how,
    uids: [uid('u1'), uid('u2')],
    cause: 'http',
  });
  t.true(first.ok);
  await subscriptions.unsubscribe({ ...how, uids: [uid('u1')], cause: 'client' });
  await directory.by('admin').deny(GROUP, uid('u1'), 'ban');
  const refused = await subscriptions.subscribe({ ...how, uids: [uid('u1')], cause: 'admin' });
  t.false(refused.ok);
  await publisher.publish(message(PAIR, 'a', 'hi'));
  await until('the refusal is stored', async () => core.journal.size() === 8);
  const lines = await core.journal.query({ uid: 'u1', channel: GROUP, limit: 10 });
  t.deepEqual(
    lines.map(({ action, cause, result }) => `${action} ${cause} ${result}`),
    [
      'subscribe admin refused (19)',
      // A ban unsubscribes in its own operation.
      'unsubscribe admin applied',
      'deny admin applied',
      'unsubscribe client applied',
      'subscribe http applied',
    ],
  );
  t.is(lines.at(-1)!.dot, first.ok ? formatDot(first.value.receipts[0]!) : '');
  t.true(Math.abs(lines[0]!.atMs - Date.now()) < 60_000);
  const pair = await core.journal.query({ channel: '1/b@a', limit: 10 });
  t.deepEqual(pair.map(({ uid, cause }) => `${uid} ${cause}`).sort(), ['a client', 'b client']);
  const byCause = await core.journal.query({ cause: 'http', limit: 10 });
  t.deepEqual(
    byCause.map(({ uid }) => uid),
    ['u2', 'u1'],
  );
});

test('an operation of a peer is `replicated`, with the dot that it has everywhere', async (t) => {
  const { store, log } = await openLog(t);
  log.onReceived({ operation: operationOf(7, ['u1', 'u2']), changes: [], own: false });
  await flushed(store);
  const [line] = await log.query({ uid: 'u2', limit: 1 });
  t.like(line, { cause: 'replicated', dot: `${ACTOR}:3:8`, action: 'subscribe' });
});

test('what is logged is in the same batch as its operation, and survives a restart', async (t) => {
  const { location, store, log, open } = await openLog(t);
  const operation = operationOf(1, ['u1']);
  log.onSubmitted(operation);
  log.because(operation, 'client');
  await flushed(store);
  await store.close();
  const again = await location.open();
  t.teardown(() => again.close());
  const reopened = await open(again);
  t.is(reopened.size(), 1);
  reopened.onSubmitted(operationOf(2, ['u1'], REMOVAL));
  await flushed(again);
  const lines = await reopened.query({ uid: 'u1', limit: 10 });
  t.deepEqual(
    lines.map(({ action, cause }) => `${action} ${cause}`),
    ['unsubscribe system', 'subscribe client'],
  );
});

test('the ring keeps its bound, the oldest lines go first', async (t) => {
  const { store, log } = await openLog(t, 100);
  for (let i = 0; i < 50; i++) {
    log.onSubmitted(
      operationOf(
        1 + 10 * i,
        Array.from({ length: 10 }, (_, k) => `u${10 * i + k}`),
      ),
    );
    await flushed(store);
  }
  await until('the oldest are deleted', () => log.size() <= 110);
  const kept = await log.query({ limit: 1_000 });
  t.true(kept.length >= 100 && kept.length <= 110, String(kept.length));
  t.is(kept[0]!.uid, 'u499');
  t.is((await log.query({ uid: 'u1', limit: 1 })).length, 0);
});

test('rows of one line each become few, and every line stays where it was', async (t) => {
  const { location, store, log, open } = await openLog(t, 2_000);
  const rows = async (on: Store): Promise<number> => {
    let count = 0;
    for await (const chunk of on.scan({ gte: 'j', lt: 'k' })) count += chunk.length;
    return count;
  };
  for (let i = 1; i <= 560; i++) {
    log.onSubmitted(operationOf(i, [`u${i}`]));
    await flushed(store);
  }
  await until('one packed row and what came after', async () => (await rows(store)) < 100);
  const told = async (from: OperationLog) =>
    (await from.query({ limit: 2_000 })).map(({ uid: name }) => name);
  const expected = Array.from({ length: 560 }, (_, i) => `u${560 - i}`);
  t.deepEqual(await told(log), expected);
  t.is((await log.query({ uid: 'u7', limit: 9 })).length, 1);
  await store.close();
  const again = await location.open();
  t.teardown(() => again.close());
  const reopened = await open(again);
  t.is(reopened.size(), 560);
  t.deepEqual(await told(reopened), expected);
});

test('rows are joined as they were written, and what is no row is left alone', (t) => {
  const record = (name: string) => [
    0,
    1,
    'http',
    ACTOR,
    3,
    5,
    [subscriptionKey(GROUP, uid(name))],
    1,
  ];
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sizes) => {
      const rows = sizes.map((size, row) =>
        Array.from({ length: size }, (_, i) => record(`u${row}-${i}`)),
      );
      const joined = joinRows(rows.map((records) => encodeRecords(records)));
      t.deepEqual(decodeRecords(joined!), rows.flat());
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      decodeRecords(joinRows([bytes]) ?? new Uint8Array(0));
    }),
  );
  t.is(joinRows([Uint8Array.of(0, 0xc0)]), undefined);
});

test('a flood of refusals is counted, not written', async (t) => {
  const { store, log } = await openLog(t);
  const refusal = refuse(REASON.banned, 'u1 is banned');
  for (let i = 0; i < 1_000; i++) {
    log.refused({
      action: 'subscribe',
      channel: GROUP,
      uids: [uid('u1')],
      cause: 'client',
      refusal,
    });
  }
  await flushed(store);
  const lines = await log.query({ limit: 1_000 });
  t.true(lines.length < 70, String(lines.length));
  t.regex(lines[0]!.detail, /^9\d\d lines above the limits$/);
});

test('rows without an operation are told only where they change who receives', async (t) => {
  const { store, log } = await openLog(t);
  const entry = { actor: ACTOR, hlc: 1, context: [], value: new Uint8Array(0) };
  const [live, gone] = [
    { ...entry, counter: 1, tag: 0 },
    { ...entry, counter: 2, tag: REMOVAL },
  ];
  const key = subscriptionKey(GROUP, uid('u1'));
  const applied = { origin: 'peer', operation: undefined } as const;
  log.onDurable({ ...applied, changes: [{ key, before: [gone], after: [] }] } as never);
  await flushed(store);
  t.is(log.size(), 0);
  log.onDurable({ ...applied, changes: [{ key, before: [], after: [live] }] } as never);
  await flushed(store);
  t.like((await log.query({ limit: 9 }))[0], { action: 'snapshot', detail: '1 subscriptions' });
});

test('S2-8 a row that a sweep gave back is one line, that of the repair', async (t) => {
  const { store, log } = await openLog(t);
  const entry = { actor: ACTOR, hlc: 1, context: [], value: new Uint8Array(0), counter: 1, tag: 0 };
  const change = (name: string) => ({
    key: subscriptionKey(GROUP, uid(name)),
    ...{ before: [], after: [entry] },
  });
  const about = { layer: 'peers', action: 'restored', cause: 'lost-row', wallMs: 1 } as const;
  log.onRepair({ ...about, channel: GROUP, uid: uid('u1') });
  log.onDurable({ changes: [change('u1'), change('u2')] } as never);
  log.onDurable({ changes: [change('u1')] } as never);
  await flushed(store);
  const lines = await log.query({ limit: 9 });
  t.deepEqual(
    lines.map(({ action, detail }) => [action, detail]),
    [
      ['snapshot', '1 subscriptions'],
      ['snapshot', '1 subscriptions'],
      ['repair', 'peers'],
    ],
  );
});

test('repairs are lines too, and time limits what is found', async (t) => {
  const { store, log } = await openLog(t);
  const dots = [{ actor: ACTOR, shard: 3, counter: 9 }];
  const about = { channel: GROUP, uid: uid('u1'), dots, detail: 'row was gone' } as const;
  const repair = { layer: 'peers', action: 'restored', cause: 'lost-row', ...about } as const;
  log.onRepair({ ...repair, wallMs: Date.now() - 60_000 });
  log.onRepair({ ...repair, wallMs: Date.now() });
  await flushed(store);
  const lines = await log.query({ uid: 'u1', sinceMs: Date.now() - 30_000, limit: 9 });
  t.is(lines.length, 1);
  t.like(lines[0], { action: 'repair', result: 'restored', detail: 'peers: row was gone' });
});

test('bans, flags of a channel and mixed operations are told apart', (t) => {
  const key = denyKey(GROUP, uid('u9'), 'mute');
  const writes = [
    { ...operationOf(1, ['u1']).writes[0]!, tag: REMOVAL },
    { ...operationOf(1, ['u2']).writes[0]!, offset: 2, key },
  ];
  const lines = toEntries([0, 1, 'http', ACTOR, 3, 5, writes.map(({ key }) => key), [-1, 2]]);
  t.deepEqual(
    lines.map(({ action, uid, dot, detail }) => [action, uid, dot.split(':')[2], detail]),
    [
      ['unsubscribe', 'u1', '5', ''],
      ['deny', 'u9', '7', 'mute'],
    ],
  );
});

test('rows and records of any kind are no error', (t) => {
  let lines = 0;
  const look = (records: readonly (readonly unknown[])[]): void => {
    for (const record of records) {
      t.true(entriesIn(record) >= 0);
      lines += toEntries(record).filter(({ uid }) => typeof uid === 'string').length;
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => look(decodeRecords(bytes))));
  const field = fc.oneof(fc.anything(), fc.array(fc.constantFrom('s3\u00012/g\u0001u', 'd')));
  const record = fc.tuple(fc.nat(4), fc.array(field, { minLength: 7, maxLength: 9 }));
  fc.assert(
    fc.property(fc.array(record), (many) => look(many.map(([kind, rest]) => [kind, ...rest]))),
  );
  t.true(lines > 100);
});

test('keys of large operations are stored as what differs, and come back whole', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 120 })), (keys) => {
      t.deepEqual(frontDecode(frontCode(keys)), keys);
    }),
  );
  const { store, log } = await openLog(t);
  log.onSubmitted(
    operationOf(
      1,
      Array.from({ length: 256 }, (_, i) => `user-${i}`),
    ),
  );
  await flushed(store);
  const [found] = await log.query({ uid: 'user-200', channel: GROUP, limit: 5 });
  t.like(found, { uid: 'user-200', dot: `${ACTOR}:3:201` });
});
