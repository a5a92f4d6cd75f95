import type { Command } from 'commander';
import type { ReloadChange, ReloadReply } from '../reload-messages.ts';
import { addConnectionOptions, withClient, type ConnectionFlags } from './connection.ts';
import { printJson, printLine } from './output.ts';

const EXIT_NOT_TAKEN = 1;

export function addReloadCommand(program: Command): void {
  addConnectionOptions(program.command('reload'))
    .description('the asked node reads its cluster.yml again; exit code 1 where it was not taken')
    .action((flags: ConnectionFlags) =>
      withClient(flags, async (client) => {
        const reply = await client.reload();
        if (reply.errors.length > 0) process.exitCode = EXIT_NOT_TAKEN;
        if (flags.json) return printJson(reply);
        for (const line of linesOf(reply)) await printLine(line);
      }),
    );
}

const SAID: Readonly<Record<string, string>> = {
  unchanged: 'nothing to apply',
  applied: 'the configuration is applied',
  refused: 'the configuration is not taken, nothing changes',
  'rolled-back': 'the configuration could not be applied:',
};

function linesOf(reply: ReloadReply): readonly string[] {
  const { node, result, changes, errors, ended, kept = [] } = reply;
  const gone = ended > 0 ? `; ${ended} connections ended` : '';
  return [
    `${node}: ${SAID[result] ?? result}${gone}`,
    ...errors.map((error) => `  ${error}`),
    ...changes.filter(({ live }) => live).map((one) => `  applied: ${changed(one)}`),
    ...changes.filter(({ live }) => !live).map((one) => `  needs a restart: ${changed(one)}`),
    ...kept.map((one) => `  kept: ${one}`),
  ];
}

function changed({ path, before, after, note }: ReloadChange): string {
  return `${path}: ${before} → ${after}${note === '' ? '' : ` (${note})`}`;
}
