import type { Repair } from '../../src/audit/port.ts';
import type { Uid } from '../../src/core/ids.ts';
import { channelOf, HealRig } from './heal-rig.ts';
import type { Row } from './row.ts';

const USERS = 2_000;
const CONNECTED = 60;
const STEP_MS = 2;
const SWEEP_MS = 200;
/** The simulator remembers every write of a run: long measurements are many runs, each with its own seed. */
const RUN_SECONDS = 15;

export interface QuietRun {
  readonly writes: number;
  readonly sweeps: number;
  /** All of them are false: nothing was damaged. */
  readonly repairs: readonly Repair[];
}

/**
 * Subscribes and unsubscribes at all three nodes at once, in virtual time, with sweeps every 200 ms and
 * every audit at its fast pace. Nothing is damaged.
 */
export async function measureFalseRepairs(
  seconds: number,
  writesPerSecond: number,
  seed = 1,
): Promise<QuietRun> {
  const tuning = {
    ...{ intervalsMax: 64, replicator: {}, auditPace: 5 },
    sweep: { intervalMs: SWEEP_MS },
  };
  const rig = await HealRig.start(seed, tuning);
  const random = rig.sim.world.random.fork('writes');
  for (let index = 0; index < CONNECTED; index++) await rig.connect(index, userOf(index));
  const endMs = rig.nowMs + seconds * 1_000;
  let [writes, owed] = [0, 0];
  while (rig.nowMs < endMs) {
    owed += (writesPerSecond * STEP_MS) / 1_000;
    for (; owed >= 1; owed--) {
      const { subscriptions } = rig.core(random.between(0, 2)).services;
      const [index, user] = [random.between(0, 200), random.between(0, USERS - 1)];
      const request = { channel: channelOf(index), uids: [userOf(user)], cause: 'admin' } as const;
      if (random.chance(0.5)) void subscriptions.subscribe({ ...request, waitFor: 'local' });
      else void subscriptions.unsubscribe({ ...request, waitFor: 'local' });
      writes += 1;
    }
    await rig.run(STEP_MS);
  }
  await rig.converge();
  await rig.run(5 * SWEEP_MS);
  let sweeps = 0;
  for (let index = 0; index < 3; index++) sweeps += rig.core(index).sweeps.sweep.counters.sweeps;
  return { writes, sweeps, repairs: rig.repairs };
}

export async function benchFalseRepairs(seconds: number): Promise<Row[]> {
  let [writes, sweeps, repairs] = [0, 0, 0];
  for (let done = 0, seed = 1; done < seconds; done += RUN_SECONDS, seed++) {
    const run = await measureFalseRepairs(Math.min(RUN_SECONDS, seconds - done), 5_000, seed);
    writes += run.writes;
    sweeps += run.sweeps;
    repairs += run.repairs.length;
  }
  return [
    {
      ...{ name: `false repairs in ${seconds} s of 5,000 writes/s`, value: repairs, unit: '' },
      target: { value: 0, sense: 'at most' },
      note: `${writes} writes, ${sweeps} sweeps, virtual time, ${Math.ceil(seconds / RUN_SECONDS)} runs`,
    },
  ];
}

function userOf(number: number): Uid {
  return `user-${number}` as Uid;
}
