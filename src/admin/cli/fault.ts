import { Argument, type Command } from 'commander';
import { FAULT_KINDS } from '../../faults/port.ts';
import {
  addConnectionOptions,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { printable, printJson, printLine } from './output.ts';

interface FaultFlags extends ConnectionFlags {
  readonly user?: string;
  readonly channel?: string;
  readonly type: number;
  readonly peer?: string;
  readonly percent?: number;
  readonly delayMs?: number;
  readonly seconds?: number;
}

export function addFaultCommand(program: Command): void {
  addConnectionOptions(program.command('fault'))
    .addArgument(new Argument('<kind>', 'what to damage').choices(FAULT_KINDS))
    .description('damages a layer of one node on purpose; needs audit.fault_injection: on')
    .option('--user <uid>', 'of rows, index and topics')
    .option('--channel <id>', 'of rows, index, topics and interest')
    .option('--type <n>', 'channel type: 1 person, 2 group, 3 to 10 others', wholeNumber, 2)
    .option('--peer <member>', 'of interest, deltas and freezes')
    .option('--percent <n>', 'of deltas: the share of frames (100)', wholeNumber)
    .option('--delay-ms <ms>', 'of delayed deltas (1000)', wholeNumber)
    .option('--seconds <n>', 'of what lasts (5)', wholeNumber)
    .action((kind: string, flags: FaultFlags) =>
      withClient(flags, async (client) => {
        const { user, channel, type, peer, percent = 0, delayMs = 0, seconds = 0 } = flags;
        const reply = await client.injectFault({
          ...{ kind, uid: user ?? '', channelId: channel ?? '', channelType: type },
          ...{ member: peer ?? '', percent, delayMs, seconds },
        });
        if (flags.json) return printJson(reply);
        for (const line of reply.damage) await printLine(printable(`${reply.member}  ${line}`));
      }),
    );
}
