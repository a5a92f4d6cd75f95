import { Command, InvalidArgumentError } from 'commander';
import { LOST_DISK } from './faults/disk-faults.ts';
import { FAULTS } from './faults/schedule.ts';
import type { Finding } from './model/findings.ts';
import { runSeed, type RunOptions, type RunResult } from './run.ts';

/** Seeds that `npm run check` runs. */
export const CHECK_SEEDS: readonly number[] = [1, 2, 3, 4, 6, 7, 8, 9, 10, 11];

interface Arguments {
  readonly seed?: number;
  readonly nodes: number;
  readonly seeds: number;
  readonly from: number;
  readonly check?: boolean;
  readonly lostDisks?: boolean;
  readonly trace?: boolean;
}

function number(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected a whole number');
  return Number(text);
}

function parse(): Arguments {
  return new Command('simulate')
    .description('Runs a whole cluster in one process, breaks it by chance, heals it, checks it.')
    .option('--seed <number>', 'run this seed alone', number)
    .option('--nodes <number>', 'nodes of the cluster', number, 3)
    .option('--seeds <number>', 'how many seeds to run', number, 20)
    .option('--from <number>', 'first of them', number, 1)
    .option('--check', 'the fixed seeds of the project, the first of them twice')
    .option('--lost-disks', 'also destroy disks that hold the only copy of the newest writes')
    .option('--trace', 'print every event')
    .parse()
    .opts<Arguments>();
}

function report(result: RunResult, nodes: number): void {
  console.error(`seed ${result.seed} with ${nodes} nodes: ${result.findings.length} findings`);
  for (const fault of result.faults) {
    console.error(`  ${(fault.atMs / 1000).toFixed(3).padStart(8)} s ${fault.name}: ${fault.text}`);
  }
  for (const { invariant, atMs, text } of result.findings) {
    const what = invariant === 0 ? 'broken' : `invariant ${invariant}`;
    console.error(`  ${(atMs / 1000).toFixed(3).padStart(8)} s ${what}: ${text}`);
  }
  console.error(`  replay: npm run simulate -- --seed ${result.seed} --nodes ${nodes} --trace`);
}

async function main(): Promise<number> {
  const args = parse();
  const seeds = seedsOf(args);
  const print = args.trace ? (line: string): void => console.log(line) : undefined;
  const startedMs = performance.now();
  let failed = 0;
  for (const seed of seeds) {
    const faults = args.lostDisks ? [...FAULTS, LOST_DISK] : FAULTS;
    const options: RunOptions = { seed, nodes: args.nodes, print, faults, tuned: true };
    let result = await run(options);
    if (args.check && seed === seeds[0]) result = await twice(result, options);
    if (result.findings.length > 0) {
      failed += 1;
      report(result, args.nodes);
    } else if (seeds.length === 1) {
      console.log(describe(result));
    }
  }
  const minutes = (performance.now() - startedMs) / 60_000;
  const pace = `${Math.round(seeds.length / minutes)} seeds a minute`;
  console.log(`${seeds.length - failed} seeds passed, ${failed} failed, ${pace}`);
  return failed === 0 ? 0 : 1;
}

function seedsOf(args: Arguments): readonly number[] {
  if (args.seed !== undefined) return [args.seed];
  if (args.check) return CHECK_SEEDS;
  return Array.from({ length: args.seeds }, (_, index) => args.from + index);
}

/** What is thrown where no code under test can catch it ends the seed, not the program. */
async function run(options: RunOptions): Promise<RunResult> {
  const thrown: unknown[] = [];
  const note = (error: unknown): void => void thrown.push(error);
  process.on('unhandledRejection', note);
  try {
    const result = await runSeed(options);
    return { ...result, findings: [...result.findings, ...thrown.map(findingOf)] };
  } catch (error) {
    return { ...NOTHING, seed: options.seed, findings: [error, ...thrown].map(findingOf) };
  } finally {
    process.off('unhandledRejection', note);
  }
}

function findingOf(error: unknown): Finding {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { invariant: 0, atMs: 0, text };
}

const NOTHING: Omit<RunResult, 'seed' | 'findings'> = {
  faults: [],
  traceHash: '',
  events: 0,
  operations: 0,
  messages: 0,
  rebuilds: 0,
  convergedMs: undefined,
};

/** Invariant 14: the same seed gives the same trace. */
async function twice(first: RunResult, options: RunOptions): Promise<RunResult> {
  const second = await run(options);
  if (first.traceHash === second.traceHash) return first;
  const text = `traces differ: ${first.traceHash} and ${second.traceHash}`;
  return { ...first, findings: [...first.findings, { invariant: 14, atMs: 0, text }] };
}

function describe(result: RunResult): string {
  const { seed, events, operations, messages, rebuilds, convergedMs, traceHash } = result;
  const counts = `${events} events, ${operations} writes, ${messages} messages, ${rebuilds} rebuilds`;
  return `seed ${seed}: ${counts}, equal ${convergedMs} ms after the heal, trace ${traceHash}`;
}

process.exitCode = await main();
