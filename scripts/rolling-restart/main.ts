import { Command } from 'commander';
import { formatTable } from '../../src/admin/cli/output.ts';
import { etcdAvailable } from '../../test/support/etcd.ts';
import { runRolling, type RollingReport } from './run.ts';

/** A client of ours is back within this. Milliseconds. */
const OURS_MS = 2_000;
/** An unmodified SDK waits 3 s by itself, and 1 s more at most. */
const SDK_MS = 4_000;

const program = new Command('rolling-restart')
  .description(
    'three real nodes are drained and started again in turn while clients write and hear',
  )
  .option('--clients <count>', 'of ours', '60')
  .option('--channels <count>', 'that they hear', '6')
  .option('--rate <messages>', 'a second, of all together', '60')
  .option('--sdks <count>', 'users of the unmodified wukongimjssdk', '3')
  .option('--between <seconds>', 'of load before each restart', '3')
  .option('--static', 'a fixed list of members, also where etcd is installed');
program.parse();
const options = program.opts<
  Record<'clients' | 'channels' | 'rate' | 'sdks' | 'between', string> & { static?: true }
>();
const etcd = !options.static && etcdAvailable();
const report = await runRolling({
  etcd,
  clients: Number(options.clients),
  channels: Number(options.channels),
  sendsPerSecond: Number(options.rate),
  sdks: Number(options.sdks),
  betweenMs: Number(options.between) * 1000,
  onNode: (said) => process.stderr.write(`${said}\n`),
});
process.stdout.write(`${tableOf(report)}\n`);
const bad = [...report.lost, ...report.twice];
if (bad.length > 0) process.stderr.write(`${bad.slice(0, 50).join('\n')}\n`);
if (report.logs.length > 0) process.stderr.write(`${report.logs.join('\n')}\n`);
const isFast = report.longestWaitMs <= OURS_MS && report.sdkLongestWaitMs <= SDK_MS;
process.exitCode = bad.length === 0 && report.refused === 0 && isFast ? 0 : 1;

function tableOf(of: RollingReport): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
  return formatTable(
    ['what', 'measured', 'wanted'],
    [
      ['membership', etcd ? 'etcd' : 'static', ''],
      ['messages acknowledged', of.acknowledged, ''],
      ['sends refused or given up', of.refused, '0'],
      ['lost by a subscriber', of.lost.length, '0'],
      ['came twice to one', of.twice.length, '0'],
      ['reconnects of our clients', of.reconnects, ''],
      ['longest wait of a client of ours', seconds(of.longestWaitMs), `≤ ${seconds(OURS_MS)}`],
      ['reconnects of the SDK', of.sdkReconnects, ''],
      ['longest wait of an SDK', seconds(of.sdkLongestWaitMs), `≤ ${seconds(SDK_MS)}`],
    ],
  );
}
