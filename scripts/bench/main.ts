import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { benchDisable, benchToggles } from './disable.ts';
import { benchFanout } from './fanout.ts';
import { benchFalseRepairs } from './false-repairs.ts';
import { benchHeal } from './heal.ts';
import { benchHealReal } from './heal-real.ts';
import { benchLatency } from './latency.ts';
import { benchIdleSessions, benchStoredSubscriptions } from './memory.ts';
import { benchIdleAudits, benchSymbols } from './reconcile.ts';
import { benchPast } from './past.ts';
import { benchResume } from './resume.ts';
import { formatTable, type Row } from './row.ts';
import { benchSends } from './sends.ts';
import { benchStorm } from './storm.ts';
import { benchSubscribe } from './subscribe.ts';
import { benchSweep } from './sweep.ts';

/** `quick` is a look, `full` is what a report is made of. */
const SIZES = {
  quick: {
    seconds: 3,
    rounds: 1,
    subscriptions: 100_000,
    idle: 5_000,
    stored: 200_000,
    injections: 100,
    realInjections: 10,
  },
  full: {
    seconds: 8,
    rounds: 3,
    subscriptions: 500_000,
    idle: 19_000,
    stored: 1_000_000,
    injections: 1_000,
    realInjections: 200,
  },
} as const;

/** Of one measurement: short ones in turns say more than long ones, on a machine that is shared. */
const FANOUT_SECONDS = 3;

const SECTIONS = {
  fanout: (size: Size) => benchFanout(FANOUT_SECONDS, size.rounds),
  subscribe: (size: Size) => benchSubscribe(size.subscriptions),
  latency: (size: Size) => benchLatency(1000, size.seconds),
  sends: (size: Size) => benchSends(size.seconds),
  past: (size: Size) => benchPast(size.seconds),
  resume: () => benchResume(),
  idle: (size: Size) => benchIdleSessions(size.idle),
  stored: (size: Size) => benchStoredSubscriptions(size.stored),
  symbols: () => Promise.resolve(benchSymbols()),
  sweep: (size: Size) => benchSweep(size.stored),
  heal: (size: Size) => benchHeal(size.injections),
  'heal-real': (size: Size) => benchHealReal(size.realInjections),
  'false-repairs': () => benchFalseRepairs(Number(options.seconds)),
  'disable-10k': () => benchDisable(Number(options.clients)),
  toggles: () => benchToggles(60),
  'storm-10k': () => benchStorm(Number(options.clients)),
  audits: (size: Size) => benchIdleAudits(size.stored, 20 * size.seconds),
} as const;

/** These take as long as all others together; run where they are asked for by name. */
const BY_HAND: readonly Section[] = ['heal-real', 'disable-10k', 'toggles', 'storm-10k'];

type Size = (typeof SIZES)[keyof typeof SIZES];
type Section = keyof typeof SECTIONS;

const program = new Command('bench')
  .description('figures of this machine beside a bare uWS server and a bare LevelDB batch')
  .option('--only <sections>', `of ${Object.keys(SECTIONS).join(',')}`)
  .option('--full', 'the sizes of a report (about 10 minutes)')
  .option('--seconds <seconds>', 'of writes for false-repairs, in virtual time', '10')
  .option('--clients <count>', 'of disable-10k and storm-10k', '10000')
  .option('--json', 'print JSON instead of the table')
  .option('--out <folder>', 'write the report there as well');
program.parse();
const options = program.opts<{
  only?: string;
  full?: true;
  seconds: string;
  clients: string;
  json?: true;
  out?: string;
}>();

execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json']);
const size = options.full ? SIZES.full : SIZES.quick;
const usual = Object.keys(SECTIONS).filter((name) => !BY_HAND.some((one) => one === name));
const wanted = (options.only?.split(',') ?? usual) as Section[];
const report: { section: Section; rows: Row[] }[] = [];
for (const section of wanted) {
  const bench = SECTIONS[section];
  if (!bench) program.error(`there is no section ${section}`);
  const rows = await bench(size);
  report.push({ section, rows });
  if (!options.json) console.log(`\n## ${section}\n\n${formatTable(rows)}`);
}
const machine = `${cpus().length} cores, ${cpus()[0]!.model}, Node ${process.version}`;
const at = new Date().toISOString();
if (options.json) console.log(JSON.stringify({ at, machine, report }, undefined, 2));
if (options.out) {
  mkdirSync(options.out, { recursive: true });
  const name = join(options.out, at.slice(0, 10));
  writeFileSync(`${name}.json`, `${JSON.stringify({ at, machine, report }, undefined, 2)}\n`);
  const tables = report.map(({ section, rows }) => `## ${section}\n\n${formatTable(rows)}\n`);
  writeFileSync(
    `${name}.md`,
    `# Figures of ${at.slice(0, 10)}\n\n${machine}\n\n${tables.join('\n')}`,
  );
}
