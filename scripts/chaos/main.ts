import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runChaos, type ChaosReport } from './run.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    nodes: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
    faults: { type: 'string', default: '1000' },
    out: { type: 'string', default: join('data', 'chaos') },
  },
});

const report = await runChaos({
  seconds: Number(values.seconds),
  nodes: Number(values.nodes),
  seed: Number(values.seed),
  faultsMax: Number(values.faults),
});
const { history, logs, ...summary } = report;
mkdirSync(values.out, { recursive: true });
writeFileSync(join(values.out, 'history.json'), JSON.stringify(history, undefined, 1));
writeFileSync(join(values.out, 'report.json'), JSON.stringify(summary, undefined, 2));
writeFileSync(join(values.out, 'report.md'), toMarkdown(report));
writeFileSync(join(values.out, 'nodes.log'), `${logs.join('\n')}\n`);
process.stdout.write(toMarkdown(report));
process.exit(report.passed ? 0 : 1);

function toMarkdown({ options, etcd, faults, live, ...rest }: ChaosReport): string {
  const first = (found: readonly string[]): string =>
    `${found.length} ${found.slice(0, 20).join('; ')}`.trim();
  const lines = [
    `# Chaos: ${rest.passed ? 'passed' : 'FAILED'}`,
    `- ${options.nodes} nodes${etcd ? ' with etcd' : ''}, ${options.seconds} s, seed ${options.seed}`,
    `- faults: ${Object.entries(faults)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
    `- elements ${rest.elements}, acknowledged adds ${rest.acknowledgedAdds}`,
    `- acknowledged adds lost: ${first(rest.lostAdds)}`,
    `- removals that came back: ${first(rest.returnedRemovals)}`,
    `- final read equal on every node: ${rest.equal}`,
    `- acknowledged while etcd was away: ${rest.acknowledgedWithoutEtcd}`,
    `- messages during the faults: ${live.sent} sent, ${live.acknowledged} acknowledged, ` +
      `${live.judged} due at ${live.sessionsOpen} sessions that stayed open ` +
      `(${live.sessionsEnded} were ended)`,
    `  - missing: ${first(live.missing)}`,
    `  - twice: ${first(live.twice)}`,
    `- messages after the faults: ${rest.messagesMissing} missing, ${rest.messagesTwice} twice`,
  ];
  return `${lines.join('\n')}\n`;
}
