import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runChaos, type ChaosReport } from './run.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    nodes: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
    kills: { type: 'string', default: '1000' },
    out: { type: 'string', default: join('data', 'chaos') },
  },
});

const report = await runChaos({
  seconds: Number(values.seconds),
  nodes: Number(values.nodes),
  seed: Number(values.seed),
  killsMax: Number(values.kills),
});
const { history, ...summary } = report;
mkdirSync(values.out, { recursive: true });
writeFileSync(join(values.out, 'history.json'), JSON.stringify(history, undefined, 1));
writeFileSync(join(values.out, 'report.json'), JSON.stringify(summary, undefined, 2));
writeFileSync(join(values.out, 'report.md'), toMarkdown(report));
process.stdout.write(toMarkdown(report));
process.exit(report.passed ? 0 : 1);

function toMarkdown({ options, etcd, faults, ...rest }: ChaosReport): string {
  const lines = [
    `# Chaos: ${rest.passed ? 'passed' : 'FAILED'}`,
    `- ${options.nodes} nodes${etcd ? ' with etcd' : ''}, ${options.seconds} s, seed ${options.seed}`,
    `- faults: ${Object.entries(faults)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
    `- elements ${rest.elements}, acknowledged adds ${rest.acknowledgedAdds}`,
    `- acknowledged adds lost: ${rest.lostAdds.length} ${rest.lostAdds.slice(0, 20).join('; ')}`,
    `- removals that came back: ${rest.returnedRemovals.length}`,
    `- final read equal on every node: ${rest.equal}`,
    `- messages after the faults: ${rest.messagesMissing} missing, ${rest.messagesTwice} twice`,
  ];
  return `${lines.join('\n')}\n`;
}
