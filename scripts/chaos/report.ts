import type { ChaosReport } from './run.ts';

const SHOWN_MAX = 20;

/** For people: what was done and what was found. */
export function toMarkdown(report: ChaosReport): string {
  const { options, live } = report;
  const lines = [
    `# Chaos: ${report.passed ? 'passed' : 'FAILED'}`,
    `- ${options.nodes} nodes${report.etcd ? ' with etcd' : ''}, ${options.seconds} s, ` +
      `seed ${options.seed}, ${options.writers ?? 1} writers a node`,
    `- faults: ${counts(report.faults)}`,
    `- processes killed: ${report.kills}`,
    `- at the same time: ${counts(report.together)}`,
    ...report.planted.map(({ plant, channel }) => `- planted: ${plant} of ${channel}`),
    `- elements ${report.elements}, acknowledged adds ${report.acknowledgedAdds}`,
    `- acknowledged adds lost: ${first(report.lostAdds)}`,
    `- removals that came back: ${first(report.returnedRemovals)}`,
    `- never added: ${first(report.unexpected)}`,
    `- differences between the final reads: ${first(report.unequal)}`,
    `- settled ${report.settledMs === undefined ? 'never' : `${report.settledMs / 1000} s`} after the faults`,
    `- acknowledged while etcd was away: ${report.acknowledgedWithoutEtcd}`,
    `- messages during the faults: ${live.sent} sent, ${live.acknowledged} acknowledged, ` +
      `${live.judged} due at ${live.sessionsOpen} sessions that stayed open ` +
      `(${live.sessionsEnded} were ended)`,
    `  - missing: ${first(live.missing)}`,
    `  - twice: ${first(live.twice)}`,
    `- messages after the faults: ${report.messagesMissing} missing, ${report.messagesTwice} twice`,
  ];
  return `${lines.join('\n')}\n`;
}

function first(found: readonly string[]): string {
  return `${found.length} ${found.slice(0, SHOWN_MAX).join('; ')}`.trim();
}

function counts(of: Readonly<Record<string, number>>): string {
  const all = Object.entries(of).map(([name, count]) => `${name} ${count}`);
  return all.length === 0 ? 'none' : all.join(', ');
}
