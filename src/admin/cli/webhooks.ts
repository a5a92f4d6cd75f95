import type { Command } from 'commander';
import type { AdminClient } from '../client.ts';
import {
  addConnectionOptions,
  UsageError,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { formatTable, formatTime, printJson, printLine, type Cell } from './output.ts';

export function addWebhookCommands(program: Command): void {
  const group = program
    .command('webhooks')
    .description('receivers of events, as the asked node sees them');

  addConnectionOptions(group.command('ls'))
    .description('what waits, what was delivered and what fails, by receiver')
    .action((flags: ConnectionFlags) => withClient(flags, (client) => list(client, flags)));

  addConnectionOptions(group.command('dead'))
    .description('events that this node gave up')
    .requiredOption('--endpoint <name>', 'of this receiver')
    .option('--limit <n>', 'at most this many', wholeNumber, 50)
    .option('--after <id>', 'goes on after the page before', '')
    .action((flags: DeadFlags) => withClient(flags, (client) => dead(client, flags)));

  addConnectionOptions(group.command('replay'))
    .description('delivers dead letters once more')
    .argument('[ids...]', 'these')
    .requiredOption('--endpoint <name>', 'of this receiver')
    .option('--all', 'all of them')
    .action((ids: string[], flags: ReplayFlags) =>
      withClient(flags, (client) => replay(client, ids, flags)),
    );
}

async function list(client: AdminClient, { json }: ConnectionFlags): Promise<void> {
  const { node, endpoints } = await client.webhooks();
  if (json) {
    for (const endpoint of endpoints) await printJson({ node, ...endpoint });
    return;
  }
  const head = ['receiver', 'waiting', 'copies', 'dead', 'delivered', 'failed', 'dropped'];
  const rows = endpoints.map((one): Cell[] => [
    ...[one.name, one.waiting, one.copies, one.dead, one.delivered, one.failedRequests],
    ...[one.dropped, one.failures > 0 ? one.lastError : 'ok', one.url],
  ]);
  await printLine(formatTable([...head, 'state', 'url'], rows));
}

interface DeadFlags extends ConnectionFlags {
  readonly endpoint: string;
  readonly limit: number;
  readonly after: string;
}

async function dead(client: AdminClient, flags: DeadFlags): Promise<void> {
  const { endpoint, limit, after } = flags;
  const { letters, next } = await client.deadLetters({ endpoint, limit, after });
  if (flags.json) {
    for (const letter of letters) await printJson(letter);
    if (next !== '') await printJson({ next });
    return;
  }
  const head = ['id', 'event', 'happened (UTC)', 'given up (UTC)', 'error'];
  const rows = letters.map((one): Cell[] => [
    ...[one.id, one.type, formatTime(one.atMs), formatTime(one.deadAtMs), one.error],
  ]);
  await printLine(formatTable(head, rows));
  if (next !== '') await printLine(`more: --after '${next}'`);
}

interface ReplayFlags extends ConnectionFlags {
  readonly endpoint: string;
  readonly all?: boolean;
}

async function replay(
  client: AdminClient,
  ids: readonly string[],
  { endpoint, all = false, json }: ReplayFlags,
): Promise<void> {
  if (all === ids.length > 0) throw new UsageError('give ids, or --all');
  const reply = await client.replayDeadLetters({ endpoint, ids, all });
  if (json) return printJson(reply);
  await printLine(`${reply.replayed} put back into the queue`);
}
