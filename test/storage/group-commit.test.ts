import test from 'ava';
import { GroupCommit, type WriteGroup } from '../../src/storage/group-commit.ts';
import { createVirtualRuntime } from '../support/virtual-runtime.ts';

function setUp(options: { flushMs?: number; groupBytes?: number } = {}) {
  const time = createVirtualRuntime();
  const startMs = time.clock.wallMs();
  const writes: { readonly at: number; readonly keys: string[] }[] = [];
  const disk = { failing: false };
  const write: WriteGroup = (rows, done) => {
    writes.push({ at: time.clock.wallMs() - startMs, keys: [...rows.keys()] });
    time.timers.after(options.flushMs ?? 3, () =>
      done(disk.failing ? new Error('full') : undefined),
    );
  };
  const commit = new GroupCommit({
    clock: time.clock,
    timers: time.timers,
    write,
    groupWaitMs: 10,
    groupBytes: options.groupBytes ?? 1_000,
    retryMinMs: 100,
    retryMaxMs: 400,
  });
  const stage = (key: string, done?: () => void): void =>
    commit.stage([{ key, value: new Uint8Array(10) }], done);
  return { time, startMs, writes, disk, commit, stage };
}

test('a lone mutation waits groupWaitMs for company', async (t) => {
  const { time, writes, stage } = setUp();
  stage('a');
  await time.advance(9);
  stage('b');
  t.deepEqual(writes, []);
  await time.advance(1);
  t.deepEqual(writes, [{ at: 10, keys: ['a', 'b'] }]);
});

test('a group of groupBytes does not wait', async (t) => {
  const { time, writes, stage } = setUp({ groupBytes: 60 });
  stage('a');
  stage('b');
  await time.advance(0);
  t.is(writes.length, 0);
  stage('c');
  await time.advance(0);
  t.deepEqual(writes, [{ at: 0, keys: ['a', 'b', 'c'] }]);
});

test('one group is written while the next gathers, which then waits groupWaitMs for company', async (t) => {
  const { time, writes, commit, stage } = setUp({ flushMs: 30 });
  const durable: string[] = [];
  stage('a', () => durable.push('a'));
  await time.advance(10);
  stage('b', () => durable.push('b'));
  stage('c', () => durable.push('c'));
  await time.advance(29);
  t.is(writes.length, 1);
  t.deepEqual(durable, []);
  await time.advance(1);
  t.deepEqual(durable, ['a']);
  await time.advance(9);
  stage('d');
  t.is(writes.length, 1);
  await time.advance(1);
  t.deepEqual(writes.at(-1), { at: 50, keys: ['b', 'c', 'd'] });
  await time.advance(30);
  t.deepEqual(durable, ['a', 'b', 'c']);
  t.is(commit.stagedBytes(), 0);
});

test('a failing group is tried again with capped backoff, and the backoff starts anew', async (t) => {
  const { time, startMs, writes, disk, commit, stage } = setUp({ flushMs: 0 });
  const states: string[] = [];
  commit.onStatus((status) => states.push(status.state));
  disk.failing = true;
  stage('a');
  await time.advance(2_000);
  const waits = writes.map(({ at }, i) => at - (writes[i - 1]?.at ?? 0));
  t.deepEqual(waits.slice(0, 6), [10, 100, 200, 400, 400, 400]);
  t.deepEqual(commit.status(), {
    state: 'failing',
    sinceMs: startMs + 10,
    error: new Error('full'),
  });
  disk.failing = false;
  await time.advance(400);
  disk.failing = true;
  const before = writes.length;
  stage('b');
  await time.advance(10);
  await time.advance(100);
  t.is(writes.length, before + 2);
  t.deepEqual(states, ['failing', 'ok', 'failing']);
});

test('bytes count as staged until the callbacks have run', async (t) => {
  const { time, commit, stage } = setUp();
  let seen = -1;
  stage('a', () => (seen = commit.stagedBytes()));
  const staged = commit.stagedBytes();
  await time.advance(100);
  t.true(staged > 0);
  t.is(seen, staged);
  t.is(commit.stagedBytes(), 0);
});

test('close writes what callbacks stage while it closes', async (t) => {
  const { time, writes, commit, stage } = setUp();
  stage('a', () => stage('b'));
  const closed = commit.close();
  await time.advance(10);
  await closed;
  t.deepEqual(writes.map(({ keys }) => keys).flat(), ['a', 'b']);
  t.throws(() => stage('c'), { code: 'STORE_CLOSED' });
});
