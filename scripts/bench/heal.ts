import type { Uid } from '../../src/core/ids.ts';
import { HEAL_KINDS, type HealKind, type Healed, type Target } from './heal-kinds.ts';
import { HealRig, tuningOf, type Profile } from './heal-rig.ts';
import type { Row } from './row.ts';

const POLL_MS = 20;
/** Between two injections, on average: a few are open at any time, as many as a bad day brings. */
const GAP_MS = 200;
/** What takes more than so many times its bound is given up. */
const PATIENCE = 4;
/** The first pass of every audit is over. */
const WARM_MS = 20_000;

export interface HealTimes {
  readonly kind: string;
  readonly boundMs: number;
  /** From damage to repair, ascending; infinite where none came. */
  readonly timesMs: readonly number[];
}

export interface HealOptions {
  readonly injections: number;
  readonly profile: Profile;
  readonly seed?: number | undefined;
}

/** So many injections of one kind into three nodes in virtual time, at random moments. */
export async function measureHeal(kind: HealKind, options: HealOptions): Promise<HealTimes> {
  const { injections, profile, seed = 1 } = options;
  const boundMs = profile === 'fast' ? kind.boundMs / 5 : kind.boundMs;
  const rig = await HealRig.start(seed, tuningOf(profile));
  const users = Array.from({ length: injections }, (_, index) => `user-${index}` as Uid);
  await rig.subscribeAll(users);
  const targets: Target[] = [];
  for (const [index, uid] of users.entries()) {
    const session = kind.connected ? await rig.connect(index, uid) : undefined;
    targets.push({ rig, index, uid, session });
  }
  await rig.run(WARM_MS);
  const timesMs = await injectAll(kind, targets, boundMs * PATIENCE);
  return { kind: kind.name, boundMs, timesMs: timesMs.sort((a, b) => a - b) };
}

interface Open {
  readonly atMs: number;
  readonly healed: Healed;
}

async function injectAll(
  kind: HealKind,
  targets: readonly Target[],
  patienceMs: number,
): Promise<number[]> {
  const { rig } = targets[0]!;
  const random = rig.sim.world.random.fork('injections');
  const times: number[] = [];
  let open: Open[] = [];
  const look = async (): Promise<void> => {
    await rig.run(POLL_MS);
    open = open.filter(({ atMs, healed }) => {
      const ms = rig.nowMs - atMs;
      if (!healed() && ms < patienceMs) return true;
      times.push(ms < patienceMs ? ms : Number.POSITIVE_INFINITY);
      return false;
    });
  };
  for (const target of targets) {
    const untilMs = rig.nowMs + 2 * GAP_MS * random.fraction();
    while (rig.nowMs < untilMs || (kind.alone && open.length > 0)) await look();
    const healed = await kind.damage(target);
    open.push({ atMs: rig.nowMs, healed });
  }
  while (open.length > 0) await look();
  return times;
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
}

/** Time from damage to repair of every kind, in both profiles. */
export async function benchHeal(injections: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const profile of ['default', 'fast'] as const) {
    for (const kind of HEAL_KINDS) {
      const { boundMs, timesMs } = await measureHeal(kind, { injections, profile });
      const [p50, max] = [percentile(timesMs, 0.5), timesMs.at(-1)!];
      rows.push({
        ...{ name: `${kind.name}, ${profile} profile, p99`, unit: 's' },
        value: percentile(timesMs, 0.99) / 1000,
        target: { value: boundMs / 1000, sense: 'at most' },
        note: `p50 ${(p50 / 1000).toFixed(2)}, max ${(max / 1000).toFixed(2)}, n ${injections}`,
      });
    }
  }
  return rows;
}
