import { Command, InvalidArgumentError, Option } from 'commander';
import { LOST_DISK } from './faults/disk-faults.ts';
import { MIX_NAMES, MIXES, type MixName } from './faults/mixes.ts';
import type { Finding } from './model/findings.ts';
import { minimizeFaults } from './minimize.ts';
import { runSeed, type RunOptions, type RunResult } from './run.ts';

/** Seeds that `npm run check` runs. */
export const CHECK_SEEDS: readonly number[] = [1, 2, 3, 4, 6, 7];

interface Arguments {
  readonly seed?: number;
  readonly nodes: number;
  readonly seeds: number;
  readonly from: number;
  readonly check?: boolean;
  readonly forever?: boolean;
  readonly omit: readonly number[];
  readonly lostDisks?: boolean;
  readonly mix: MixName;
  readonly trace?: boolean;
}

function number(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected a whole number');
  return Number(text);
}

function numbers(text: string): readonly number[] {
  return text.split(',').map(number);
}

function parse(): Arguments {
  return new Command('simulate')
    .description('Runs a whole cluster in one process, breaks it by chance, heals it, checks it.')
    .option('--seed <number>', 'run this seed alone', number)
    .option('--nodes <number>', 'nodes of the cluster', number, 3)
    .option('--seeds <number>', 'how many seeds to run', number, 20)
    .option('--from <number>', 'first of them', number, 1)
    .option('--forever', 'seed after seed until SIGINT; the faults of a failing one are minimized')
    .option('--omit <numbers>', 'leave these faults out, such as 3,7', numbers, [])
    .option('--check', 'the fixed seeds of the project, the first of them twice')
    .addOption(
      new Option('--mix <name>', 'what breaks how often').choices(MIX_NAMES).default('default'),
    )
    .option('--lost-disks', 'also destroy disks that hold the only copy of the newest writes')
    .option('--trace', 'print every event')
    .parse()
    .opts<Arguments>();
}

function report(result: RunResult, args: Arguments, omit: readonly number[] = args.omit): void {
  console.error(`seed ${result.seed} with ${args.nodes} nodes: ${result.findings.length} findings`);
  for (const { number: place, atMs, name, text } of result.faults) {
    console.error(`  ${(atMs / 1000).toFixed(3).padStart(8)} s ${place}. ${name}: ${text}`);
  }
  for (const { invariant, atMs, text } of result.findings) {
    const what = invariant === 0 ? 'broken' : `invariant ${invariant}`;
    console.error(`  ${(atMs / 1000).toFixed(3).padStart(8)} s ${what}: ${text}`);
  }
  const options = [
    `--seed ${result.seed} --nodes ${args.nodes}`,
    ...(args.mix === 'default' ? [] : [`--mix ${args.mix}`]),
    ...(omit.length > 0 ? [`--omit ${omit.join()}`] : []),
    ...(args.lostDisks ? ['--lost-disks'] : []),
  ];
  console.error(`  replay: npm run simulate -- ${options.join(' ')} --trace`);
}

/** Runs of one failing seed: at a second or two each, a minute. */
const MINIMIZE_RUNS_MAX = 60;

/** The failing run with as few faults as still fail with one of the same invariants. */
async function minimize(result: RunResult, options: RunOptions, args: Arguments): Promise<void> {
  const broken = new Set(result.findings.map(({ invariant }) => invariant));
  const all = result.faults.map((fault) => fault.number);
  const omitted = (kept: readonly number[]): number[] => [
    ...args.omit,
    ...all.filter((place) => !kept.includes(place)),
  ];
  let smallest: RunResult | undefined;
  const fails = async (kept: readonly number[]): Promise<boolean> => {
    const next = await run({ ...options, omit: new Set(omitted(kept)) });
    if (!next.findings.some(({ invariant }) => broken.has(invariant))) return false;
    smallest = next;
    return true;
  };
  const { kept, runs, minimal } = await minimizeFaults(all, fails, MINIMIZE_RUNS_MAX);
  const how = minimal ? 'none of them can be left out' : 'more may be left out';
  console.error(`  ${kept.length} of ${all.length} faults are enough, after ${runs} runs: ${how}`);
  if (smallest) report(smallest, args, omitted(kept));
}

async function main(): Promise<number> {
  const args = parse();
  let [done, failed, stopped] = [0, 0, false];
  if (args.forever) process.once('SIGINT', () => (stopped = true));
  const startedMs = performance.now();
  const summary = (): string => {
    return `${done - failed} seeds passed, ${failed} failed, ${rateOf(done, startedMs)}`;
  };
  for (const seed of seedsOf(args)) {
    const options = optionsOf(args, seed);
    let result = await run(options);
    if (args.check && done === 0) result = await twice(result, options);
    done += 1;
    if (result.findings.length > 0) {
      failed += 1;
      report(result, args);
      if (args.forever && !stopped) await minimize(result, options, args);
    } else if (args.seed !== undefined) {
      console.log(describe(result));
    }
    if (stopped) break;
    if (args.forever && done % 100 === 0) console.log(`up to seed ${seed}: ${summary()}`);
  }
  console.log(summary());
  return failed === 0 ? 0 : 1;
}

/** What a seed costs, the start of the program included, and how many an hour two processes would run. */
function rateOf(seeds: number, startedMs: number): string {
  const { user, system } = process.cpuUsage();
  const cpuSeconds = (user + system) / 1e6 / seeds;
  const aMinute = Math.round(seeds / ((performance.now() - startedMs) / 60_000));
  const anHour = Math.round((2 * 3_600) / cpuSeconds);
  return `${aMinute} seeds a minute, ${cpuSeconds.toFixed(2)} CPU-seconds a seed: ${anHour} an hour on two cores`;
}

function optionsOf(args: Arguments, seed: number): RunOptions {
  const { meanMs: faultMeanMs, faults: mixed, recalls, retention } = MIXES[args.mix];
  const faults = args.lostDisks ? [...mixed, LOST_DISK] : mixed;
  const print = args.trace ? (line: string): void => console.log(line) : undefined;
  const omit = new Set(args.omit);
  const mix = { faults, faultMeanMs, recalls, retention };
  return { seed, nodes: args.nodes, print, tuned: true, omit, ...mix };
}

function* seedsOf(args: Arguments): Iterable<number> {
  if (args.seed !== undefined) yield args.seed;
  else if (args.check) yield* CHECK_SEEDS;
  else for (let i = 0; args.forever || i < args.seeds; i++) yield args.from + i;
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
  damageHealed: 0,
  layersHealed: 0,
  slowestMs: new Map(),
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
  const layers = [...result.slowestMs].map(([layer, ms]) => `${layer} ${ms.toFixed(0)} ms`);
  const healed = `${result.layersHealed} layers healed (slowest: ${layers.join(', ') || 'none'})`;
  return `seed ${seed}: ${counts}, ${healed}, equal ${convergedMs} ms after the heal, trace ${traceHash}`;
}

process.exitCode = await main();
