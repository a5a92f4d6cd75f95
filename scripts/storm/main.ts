import { Command } from 'commander';
import { runStorm } from './run.ts';

const program = new Command('storm')
  .description(
    'first direct messages while nodes are killed with -9; 0 where nothing is lost or torn',
  )
  .option('--kills <count>', 'processes to kill, in bursts of one to all', '200')
  .option('--nodes <count>', 'processes', '3')
  .option('--seed <number>', 'draws who is killed and when', '1')
  .option('--pairs <count>', 'first messages around the kills of one burst, at most', '250');
program.parse();
const options = program.opts<Record<'kills' | 'nodes' | 'seed' | 'pairs', string>>();

const { logs, ...report } = await runStorm({
  kills: Number(options.kills),
  nodes: Number(options.nodes),
  seed: Number(options.seed),
  pairsPerBurst: Number(options.pairs),
  onKill: (killed) => process.stderr.write(`\r${killed} of ${options.kills} kills`),
});
process.stderr.write('\n');
const passed = [report.lost, report.twice, report.torn, report.unequal].every(
  (list) => list.length === 0,
);
if (!passed) process.stderr.write(`${logs.join('\n')}\n`);
process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
process.exitCode = passed ? 0 : 1;
