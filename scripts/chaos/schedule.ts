/** Shares of all faults, in no unit; those of etcd become `row` where there is none. */
export const SHARES = {
  kill: 22,
  blackout: 2,
  stop: 10,
  row: 14,
  wipe: 6,
  'roll-back': 8,
  cut: 10,
  mute: 6,
  deaf: 6,
  delay: 8,
  'etcd-stop': 5,
  'etcd-kill': 3,
  'etcd-cut': 2,
} as const;

export type ChaosFault = keyof typeof SHARES;

/** What the seed has drawn. Times in milliseconds. */
export interface Drawn {
  readonly fault: ChaosFault;
  /** The number of the node, from 1; also where the fault is of no node. */
  readonly k: number;
  readonly forMs: number;
  /** Which of a fault's variants. */
  readonly share: number;
  /** From the start of this one to the drawing of the next. */
  readonly gapMs: number;
}

export interface DrawOptions {
  readonly nodes: number;
  readonly etcd: boolean;
  /** Default: `SHARES`. */
  readonly shares?: Partial<Record<ChaosFault, number>> | undefined;
}

/** Always the same count of random numbers, so that no fault's outcome changes the ones that follow. */
export function draw(random: () => number, options: DrawOptions): Drawn {
  const fault = pick(random(), options);
  const k = 1 + Math.floor(random() * options.nodes);
  const forMs = 300 + random() * 3_000;
  return { fault, k, forMs, share: random(), gapMs: 200 + random() * 1_300 };
}

function pick(share: number, { etcd, shares = SHARES }: DrawOptions): ChaosFault {
  const all = Object.entries(shares) as [ChaosFault, number][];
  let left = share * all.reduce((sum, [, of]) => sum + of, 0);
  for (const [fault, of] of all) {
    left -= of;
    if (left < 0) return fault.startsWith('etcd') && !etcd ? 'row' : fault;
  }
  return 'kill';
}

const DISK: readonly ChaosFault[] = ['wipe', 'roll-back'];
const PROCESS: readonly ChaosFault[] = ['kill', 'blackout', 'stop', ...DISK];
const NETWORK: readonly ChaosFault[] = ['cut', 'mute', 'deaf', 'delay'];

/** Takes a disk, or what was written to it lately. */
export function losesDisk(fault: ChaosFault): boolean {
  return DISK.includes(fault);
}

/**
 * Whether a fault may begin while the others go on. Two of one process, of one node's network or of etcd would
 * be one; and what is on two disks is promised to outlive the loss of one, not a lost row on the other besides.
 */
export function mayOverlap(one: Drawn, others: readonly Drawn[]): boolean {
  return others.every((other) => {
    const sameNode = one.k === other.k || [one.fault, other.fault].includes('blackout');
    if (sameNode && both(one, other, PROCESS)) return false;
    if (one.k === other.k && both(one, other, NETWORK)) return false;
    if (one.fault.startsWith('etcd') && other.fault.startsWith('etcd')) return false;
    return !both(one, other, [...DISK, 'row']);
  });
}

function both(one: Drawn, other: Drawn, of: readonly ChaosFault[]): boolean {
  return of.includes(one.fault) && of.includes(other.fault);
}
