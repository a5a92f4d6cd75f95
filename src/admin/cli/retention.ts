import type { Command } from 'commander';
import type { AdminClient } from '../client.ts';
import {
  addConnectionOptions,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { formatTable, formatTime, printJson, printLine, type Cell } from './output.ts';

interface RetentionFlags extends ConnectionFlags {
  readonly channel: string;
  readonly type: number;
}

const HOUR_MS = 3_600_000;

export function addRetentionCommand(program: Command): void {
  addConnectionOptions(program.command('retention'))
    .description(
      'how long messages are kept, what the node has removed, and where a channel begins',
    )
    .option('--channel <id>', 'tells up to where this channel was cut; of a person channel a@b', '')
    .option('--type <n>', 'channel type: 1 person, 2 group, 3 to 10 others', wholeNumber, 2)
    .action((flags: RetentionFlags) => withClient(flags, (client) => show(client, flags)));
}

async function show(client: AdminClient, flags: RetentionFlags): Promise<void> {
  const { channel: channelId, type: channelType } = flags;
  const reply = await client.retention({ channelId, channelType });
  if (flags.json) return printJson(reply);
  const rows = reply.rules.map(({ types, ageMs, bytesMax }): Cell[] => [
    types,
    ageMs > 0 ? `${ageMs / HOUR_MS} h` : 'for ever',
    bytesMax > 0 ? `${bytesMax} bytes` : 'any',
  ]);
  await printLine(formatTable(['channels', 'age', 'size of one'], rows));
  const { node, messagesRemoved, bytesRemoved, floorsRaised, passes } = reply;
  await printLine(
    `${node} removed ${messagesRemoved} messages (${bytesRemoved} bytes), ` +
      `raised ${floorsRaised} floors in ${passes} passes`,
  );
  if (channelId === '') return;
  const { floor } = reply;
  await printLine(
    floor
      ? `${channelId}: cut up to ${floor.seq} by ${floor.reason} at ${formatTime(floor.atMs)}`
      : `${channelId}: whole`,
  );
}
