import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { PLANTS, type Plant } from './plant.ts';
import { toMarkdown } from './report.ts';
import { runChaos } from './run.ts';

const program = new Command('chaos')
  .description(
    'real nodes and real clients under faults that a seed chooses; 0 where nothing is lost',
  )
  .option('--seconds <seconds>', 'faults begin for so long', '60')
  .option('--nodes <count>', 'processes', '3')
  .option('--seed <number>', 'the same seed draws the same faults', '1')
  .option('--faults <count>', 'at most', '1000')
  .option('--at-once <count>', 'faults that may go on at the same time', '3')
  .option('--writers <count>', 'clients that subscribe and unsubscribe, at each node', '1')
  .addOption(
    new Option('--plant <loss...>', 'lose it on purpose: the run has to fail').choices(PLANTS),
  )
  .option('--forever', 'one seed after the other until one fails or it is told to stop')
  .option('--out <folder>', 'report, history and logs', join('data', 'chaos'));
program.parse();
const options = program.opts<{
  seconds: string;
  nodes: string;
  seed: string;
  faults: string;
  atOnce: string;
  writers: string;
  plant?: Plant[];
  forever?: true;
  out: string;
}>();

let seed = Number(options.seed);
while ((await runSeed(seed)) && options.forever) seed += 1;

/** Whether it passed. The report of the last one stays. */
async function runSeed(of: number): Promise<boolean> {
  const report = await runChaos({
    ...{ seconds: Number(options.seconds), nodes: Number(options.nodes), seed: of },
    ...{ faultsMax: Number(options.faults), atOnceMax: Number(options.atOnce) },
    ...{ writers: Number(options.writers), plants: options.plant },
  });
  const { history, logs, ...summary } = report;
  mkdirSync(options.out, { recursive: true });
  const write = (name: string, text: string): void => writeFileSync(join(options.out, name), text);
  write('history.json', JSON.stringify(history, undefined, 1));
  write('report.json', JSON.stringify(summary, undefined, 2));
  write('report.md', toMarkdown(report));
  write('nodes.log', `${logs.join('\n')}\n`);
  process.stdout.write(toMarkdown(report));
  process.exitCode = report.passed ? 0 : 1;
  return report.passed;
}
