import test from 'ava';
import { Canary } from '../../src/audit/canary.ts';
import type { MemberId } from '../../src/core/ids.ts';
import { judgeHealth } from '../../src/node/health.ts';
import { createVirtualRuntime } from '../support/virtual-runtime.ts';

const [B, C] = ['b' as MemberId, 'c' as MemberId];

/** A node with two live peers, and what does not get through. */
function start() {
  const runtime = createVirtualRuntime();
  const closed = new Set<string>();
  let live: readonly MemberId[] = [B, C];
  const told: string[] = [];
  const carry = (path: string, text: string): void => {
    if (!closed.has(path)) runtime.timers.after(20, () => canary.onProbe(text));
  };
  const canary: Canary = new Canary({
    runtime,
    publishHere: (text) => carry('own', text),
    publishAt: (peer, text) => Promise.resolve(carry(peer, text)),
    livePeers: () => live,
    everyMs: 1_000,
    brokenAfterMs: 10_000,
    onBroken: (peer) => void told.push(peer ?? 'own'),
  });
  canary.start();
  const health = () =>
    judgeHealth({
      ...{ phase: 'running', store: { state: 'ok' }, mayWrite: true, peers: [] },
      membership: { state: 'ok' },
      canary: canary.state(),
    });
  return {
    runtime,
    canary,
    closed,
    health,
    told,
    setLive: (next: readonly MemberId[]) => (live = next),
  };
}

test('F23 a node that delivers is ready; one whose fan-out is wedged is not, until it delivers again', async (t) => {
  const { runtime, closed, health, told } = start();
  await runtime.advance(60_000);
  t.deepEqual(told, []);
  t.deepEqual(health(), { ready: true, reasons: [], degraded: [] });
  closed.add('own');
  await runtime.advance(9_000);
  t.true(health().ready, 'one that is late is not broken yet');
  await runtime.advance(3_000);
  t.false(health().ready);
  t.deepEqual(health().reasons, ['a probe published here does not reach its session']);
  await runtime.advance(30_000);
  t.deepEqual(told, ['own'], 'a path that broke is told of once');
  closed.delete('own');
  await runtime.advance(1_100);
  t.true(health().ready);
  closed.add('own');
  await runtime.advance(13_000);
  t.deepEqual(told, ['own', 'own'], 'and again when it broke again');
});

test('F23 F19 nothing by way of one peer is degraded, nothing by way of any is not ready', async (t) => {
  const { runtime, canary, closed, health, setLive } = start();
  closed.add('b');
  await runtime.advance(12_000);
  t.deepEqual(health(), {
    ...{ ready: true, reasons: [] },
    degraded: ['nothing arrives by way of b'],
  });
  t.deepEqual(
    canary.state().paths.map(({ path, delivers }) => `${path} ${delivers}`),
    ['own true', 'b false', 'c true'],
  );
  closed.add('c');
  await runtime.advance(12_000);
  t.false(health().ready);
  t.is(health().reasons.length, 2);
  setLive([]);
  await runtime.advance(2_000);
  t.true(health().ready, 'without any peer to be heard a member serves alone');
});

test('a peer of an older release that cannot be asked says nothing of delivery', async (t) => {
  const runtime = createVirtualRuntime();
  const canary: Canary = new Canary({
    runtime,
    publishHere: (text) => canary.onProbe(text),
    publishAt: () => Promise.reject(Object.assign(new Error('no'), { code: 'unknown-method' })),
    livePeers: () => [B],
    everyMs: 1_000,
    brokenAfterMs: 10_000,
  });
  canary.start();
  await runtime.advance(60_000);
  t.deepEqual(canary.state().broken, []);
  t.deepEqual(canary.state().degraded, []);
});
