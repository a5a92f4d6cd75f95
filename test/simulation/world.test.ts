import test from 'ava';
import { SeededRandom } from '../../scripts/simulate/world/random.ts';
import { VirtualProcess } from '../../scripts/simulate/world/virtual-process.ts';
import { World } from '../../scripts/simulate/world/world.ts';
import { createVirtualRuntime } from '../support/virtual-runtime.ts';

test('events run in the order of their time, then of their scheduling', async (t) => {
  const world = new World(1);
  const ran: string[] = [];
  for (const [delayMs, name] of [
    [5, 'c'],
    [1, 'a'],
    [5, 'd'],
    [2, 'b'],
  ] as const) {
    world.after(delayMs, name, () => ran.push(name));
  }
  world.after(3, 'cancelled', () => ran.push('never')).cancel();
  world.soon('first', () => ran.push('soon'));
  await world.run(4.5);
  t.deepEqual(ran, ['soon', 'a', 'b']);
  t.is(world.nowMs, 4.5);
  await world.run(1);
  t.deepEqual(ran, ['soon', 'a', 'b', 'c', 'd']);
});

test('every promise settles before the next event', async (t) => {
  const world = new World(1);
  const ran: string[] = [];
  world.after(1, 'first', () => {
    void (async () => {
      for (let i = 0; i < 100; i++) await Promise.resolve();
      ran.push('promise');
    })();
  });
  world.after(1, 'second', () => ran.push('event'));
  await world.run(2);
  t.deepEqual(ran, ['promise', 'event']);
});

test('a paused process does later what was due, a killed one never; cancelled timers stay so', async (t) => {
  const world = new World(1);
  const process = new VirtualProcess(world, { name: 'p', random: world.random });
  const ran: string[] = [];
  const cancelled = process.timers.after(3, () => ran.push('cancelled'));
  process.timers.after(2, () => {
    ran.push('a');
    cancelled.cancel();
  });
  process.timers.after(8, () => ran.push('b'));
  process.timers.after(20, () => ran.push('c'));
  process.pause();
  await world.run(10);
  t.deepEqual(ran, []);
  process.resume();
  await world.run(1);
  t.deepEqual(ran, ['a', 'b']);
  process.kill();
  await world.run(20);
  t.deepEqual(ran, ['a', 'b']);
});

test('the wall clock steps, the monotonic one does not', async (t) => {
  const runtime = createVirtualRuntime();
  const wallMs = runtime.clock.wallMs();
  await runtime.advance(1_000);
  runtime.stepWall(-3_600_000);
  t.is(runtime.clock.wallMs() - wallMs, 1_000 - 3_600_000);
  t.is(runtime.clock.monotonicMs(), 1_000);
});

test('one seed, one stream; forks are streams of their own', (t) => {
  const draw = (random: SeededRandom): number[] => Array.from({ length: 5 }, () => random.uint32());
  t.deepEqual(draw(new SeededRandom(7)), draw(new SeededRandom(7)));
  t.notDeepEqual(draw(new SeededRandom(7)), draw(new SeededRandom(8)));
  const [a, b] = [new SeededRandom(7), new SeededRandom(7)];
  a.uint32();
  t.deepEqual(draw(a.fork('x')), draw(b.fork('x')));
  t.notDeepEqual(draw(a.fork('x')), draw(a.fork('y')));
  const values = Array.from({ length: 10_000 }, () => a.between(0, 9));
  for (let digit = 0; digit < 10; digit++) {
    const share = values.filter((value) => value === digit).length / values.length;
    t.true(share > 0.08 && share < 0.12, `${digit}: ${share}`);
  }
});
