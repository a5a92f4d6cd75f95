import test from 'ava';
import { ListenerSet, type Units } from '../../src/connections/listeners.ts';
import { silentLog } from '../../src/observability/log.ts';
import { systemRuntime } from '../../src/runtime/system.ts';

function setOf(steps: string[]) {
  let running = true;
  const unit = (name: string) => ({
    address: () => '127.0.0.1:1',
    connections: () => 2,
    async disable(retryAfterSeconds: number) {
      steps.push(`${name} ends ${retryAfterSeconds}`);
      await new Promise((resolve) => setImmediate(resolve));
      steps.push(`${name} has ended`);
      return { ended: 2, terminated: 1 };
    },
    enable: () => Promise.resolve(void steps.push(`${name} opens`)),
    drain: () => Promise.resolve(),
  });
  const units: Units = { client: unit('client'), http: unit('http') };
  const listeners = new ListenerSet({
    units: () => (running ? units : undefined),
    clock: systemRuntime.clock,
    log: silentLog,
  });
  return { listeners, stop: () => (running = false) };
}

test('S3-6 toggles of one listener happen one after the other, and the last one counts', async (t) => {
  const steps: string[] = [];
  const { listeners } = setOf(steps);
  const changes = await Promise.all([
    listeners.disable('client', 5),
    listeners.enable('client'),
    listeners.disable('client', 7),
    listeners.disable('client', 8),
    listeners.enable('client'),
  ]);
  t.deepEqual(steps, [
    ...['client ends 5', 'client has ended', 'client opens', 'client ends 7', 'client has ended'],
    ...['client ends 8', 'client has ended', 'client opens'],
  ]);
  t.deepEqual(
    changes.map(({ changed }) => changed),
    [true, true, true, false, true],
  );
  t.is(listeners.list()[0]!.state, 'enabled');
  t.is(listeners.toggles('client'), 4);
  t.false((await listeners.enable('client')).changed);
});

test('what was disabled stays so in the next life of the node; a drain does not', async (t) => {
  const steps: string[] = [];
  const { listeners, stop } = setOf(steps);
  await listeners.disable('http', 3);
  listeners.drain({});
  t.throws(() => listeners.drain({}), { message: /it cannot drain/ });
  steps.length = 0;
  await listeners.carryOver();
  t.deepEqual(steps, ['http ends 3', 'http has ended']);
  t.is(listeners.list()[0]!.state, 'enabled');
  stop();
  await t.throwsAsync(listeners.disable('client', 1), { message: /try again/ });
  t.is(listeners.list()[0]!.state, 'enabled', 'nothing changed');
});
