import test from 'ava';
import { OperatorCalls } from '../../src/admin/operator.ts';
import { ListenerError, type Listeners } from '../../src/connections/listener-port.ts';
import type { ClusterInfo } from '../../src/admin/port.ts';

/** Named by the listener calls; the rest is not asked for here. */
const cluster = { nodeId: 'node-1' } as unknown as ClusterInfo;

function callsOf(listeners: Partial<Listeners> | undefined) {
  const failures: unknown[] = [];
  const calls = new OperatorCalls({
    ...{ cluster, diagnosis: undefined, connections: undefined },
    listeners: listeners as Listeners | undefined,
    health: () => ({ ready: true }),
    log: { error: (message, fields) => failures.push([message, fields]) },
  });
  return { calls, failures };
}

test('operator calls: fields are of their types, absent ones have their default, others are left out', async (t) => {
  const asked: unknown[] = [];
  const { calls, failures } = callsOf({
    disable(name, retryAfterSeconds) {
      asked.push([name, retryAfterSeconds]);
      const state = { name, state: 'disabled', address: '', connections: 0, sinceMs: 0 } as const;
      return Promise.resolve({ state, changed: true, ended: 2, terminated: 0 });
    },
  });
  const answer = await calls.answer('listener-disable', { name: 'client', actor: 'x' });
  t.like(answer, { ok: true, value: { node: 'node-1', changed: true, ended: 2 } });
  await calls.answer('listener-disable', { name: 'client', retryAfterSeconds: 9 });
  t.deepEqual(asked, [
    ['client', 5],
    ['client', 9],
  ]);
  const wrong: readonly unknown[] = [
    { name: 7 },
    { name: ['client'] },
    { name: 'client', retryAfterSeconds: '9' },
    { name: 'client', retryAfterSeconds: -1 },
    { name: 'client', retryAfterSeconds: 1.5 },
    { name: 'client', forGood: 1 },
    { name: null },
    {},
    undefined,
    'text',
    [],
  ];
  for (const request of wrong) {
    t.like(await calls.answer('listener-disable', request), { ok: false, status: 400 });
  }
  t.is(asked.length, 2);
  t.deepEqual(failures, []);
});

test('operator calls: a refusal keeps its words and its status, a defect tells nothing', async (t) => {
  const { calls, failures } = callsOf({
    enable: () => Promise.reject(new ListenerError('illegal', 'not in this state')),
    drain() {
      throw new Error('secret of the node');
    },
  });
  const refused = await calls.answer('listener-enable', { name: 'http' });
  t.deepEqual(refused, { ok: false, status: 409, message: 'not in this state' });
  const pair = { uid: 'a', channelId: 'b', channelType: 2 };
  t.like(await calls.answer('explain', pair), { ok: false, status: 501 });
  t.like(await calls.answer('connection', { id: 'x' }), { ok: false, status: 501 });
  for (const name of ['nothing', 'constructor', '__proto__', '']) {
    t.like(await calls.answer(name, {}), { ok: false, status: 404 });
  }
  t.deepEqual(failures, []);
  const failed = await calls.answer('drain', {});
  t.false(JSON.stringify(failed).includes('secret'));
  t.is(failures.length, 1);
});
