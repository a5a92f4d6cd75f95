import test from 'ava';
import { ClusterView } from '../../src/webhooks/cluster-view.ts';

/** A view of members that the test lets speak, in a time that the test lets pass or jump. */
function startView(count: number) {
  let nowMs = 10_000;
  const confirmed: (number | undefined)[] = Array.from({ length: count }, () => nowMs);
  let due: { atMs: number; task: () => void } | undefined;
  const view = new ClusterView({
    runtime: {
      clock: { monotonicMs: () => nowMs, wallMs: () => nowMs },
      timers: {
        after: (delayMs, task) => {
          due = { atMs: nowMs + delayMs, task };
          return { cancel: () => (due = undefined) };
        },
        soon: (task) => task(),
      },
    },
    confirmedMs: () => confirmed,
  });
  view.start();
  return {
    view,
    /** Time passes, in which these members are heard each second. */
    pass: (durationMs: number, heard: readonly number[]): void => {
      const endMs = nowMs + durationMs;
      while (nowMs < endMs) {
        nowMs += 50;
        if (nowMs % 1_000 === 0) for (const k of heard) confirmed[k] = nowMs;
        if (due && due.atMs <= nowMs) due.task();
      }
    },
    /** SIGSTOP and SIGCONT; what lay in the sockets may be read before the first timer runs. */
    sleep: (durationMs: number, backlogOf: readonly number[] = []): void => {
      nowMs += durationMs;
      for (const k of backlogOf) confirmed[k] = nowMs;
    },
    told: (): string[] => {
      const told: string[] = [];
      view.whenKnown(() => told.push('told'));
      return told;
    },
  };
}

test('who hears the others tells at once', (t) => {
  const { told, pass } = startView(2);
  t.deepEqual(told(), ['told']);
  pass(20_000, [0, 1]);
  t.deepEqual(told(), ['told']);
});

test('after a pause it tells when all others have said again what they have, not what lay in the sockets', (t) => {
  const { told, pass, sleep } = startView(2);
  sleep(12_000, [0, 1]);
  const first = told();
  t.deepEqual(first, []);
  pass(900, []);
  t.deepEqual(first, []);
  pass(1_500, [0]);
  t.deepEqual(first, [], 'one of two is not enough');
  pass(1_000, [0, 1]);
  t.deepEqual(first, ['told']);
  t.deepEqual(told(), ['told']);
});

test('one that is dead holds nothing up for longer than 5 s, and without a pause for nothing', (t) => {
  const { told, pass, sleep } = startView(2);
  pass(10_000, [0]);
  t.deepEqual(told(), ['told']);
  sleep(12_000);
  const first = told();
  pass(4_000, [0]);
  t.deepEqual(first, []);
  pass(4_000, [0]);
  t.deepEqual(first, ['told']);
});

test('who is cut off from all others waits for most of them; what waits is told when it stops', (t) => {
  const { told, pass, view } = startView(4);
  pass(60_000, []);
  const first = told();
  pass(60_000, [0]);
  t.deepEqual(first, [], 'two of five');
  pass(7_500, [0, 1]);
  t.deepEqual(first, ['told']);
  pass(10_000, []);
  const last = told();
  t.deepEqual(last, []);
  view.stop();
  t.deepEqual(last, ['told']);
});

test('one of two tells what it knows, but for 5 s after a pause; one alone always', (t) => {
  const two = startView(1);
  two.pass(60_000, []);
  t.deepEqual(two.told(), ['told']);
  two.sleep(5_000);
  const first = two.told();
  t.deepEqual(first, []);
  two.pass(5_500, []);
  t.deepEqual(first, ['told']);
  const one = startView(0);
  one.sleep(5_000);
  t.deepEqual(one.told(), ['told']);
});
