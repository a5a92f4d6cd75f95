import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { runBulk, type BulkBatch } from '../bulk-client.ts';
import type { AdminClient } from '../client.ts';
import type { WaitForName } from '../messages.ts';
import {
  addConnectionOptions,
  EXIT,
  UsageError,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { formatTable, printable, printJson, printLine } from './output.ts';

const WAIT_FOR: Readonly<Record<string, WaitForName>> = {
  all: 'WAIT_FOR_ALL',
  quorum: 'WAIT_FOR_QUORUM',
  local: 'WAIT_FOR_LOCAL',
};
const BATCH_PAIRS = 1_000;

interface ChangeFlags extends ConnectionFlags {
  readonly channel?: string;
  readonly type: number;
  readonly uid?: readonly string[];
  readonly file?: string;
  readonly waitFor: string;
  readonly receipt?: readonly string[];
}

export function addSubscriptionCommands(program: Command): void {
  const sub = program.command('sub').description('subscriptions: add, remove, list');
  const change = (name: 'add' | 'rm', description: string): Command =>
    addConnectionOptions(sub.command(name))
      .description(description)
      .option('--channel <id>', 'channel id (of a person channel the stored pair a@b)')
      .option('--type <n>', 'channel type: 1 person, 2 group, 3 to 10 others', wholeNumber, 2)
      .option('--uid <uid...>', 'uids')
      .option('--file <path>', 'lines of channel<TAB>uid, many of them; "-" is standard input')
      .option('--wait-for <members>', 'all, quorum or local', 'all');
  change('add', 'subscribes uids to a channel').action((flags: ChangeFlags) =>
    withClient(flags, (client) => changeSubscriptions(client, 'add', flags)),
  );
  change('rm', 'unsubscribes uids from a channel')
    .option('--receipt <dot...>', 'receipts of subscribes, perhaps made elsewhere, to remove too')
    .action((flags: ChangeFlags) =>
      withClient(flags, (client) => changeSubscriptions(client, 'rm', flags)),
    );
  addConnectionOptions(sub.command('ls'))
    .description("lists a channel's subscribers, a user's channels, or everything")
    .option('--channel <id>', 'subscribers of this channel')
    .option('--type <n>', 'its type', wholeNumber, 2)
    .option('--uid <uid>', 'channels of this user')
    .option('--limit <n>', 'at most this many', wholeNumber)
    .action((flags: ListFlags) => withClient(flags, (client) => list(client, flags)));
}

async function changeSubscriptions(
  client: AdminClient,
  action: 'add' | 'rm',
  flags: ChangeFlags,
): Promise<void> {
  const waitFor = Object.hasOwn(WAIT_FOR, flags.waitFor) ? WAIT_FOR[flags.waitFor] : undefined;
  if (!waitFor)
    throw new UsageError(`--wait-for: "${flags.waitFor}" is none of all, quorum, local`);
  if (flags.file !== undefined) return changeFromFile(client, action, { ...flags, waitFor });
  if (flags.channel === undefined || !flags.uid) {
    throw new UsageError('give --channel and --uid, or --file');
  }
  const request = { channelId: flags.channel, channelType: flags.type, uids: flags.uid, waitFor };
  const reply =
    action === 'add'
      ? await client.subscribe(request)
      : await client.unsubscribe({ ...request, receipts: flags.receipt ?? [] });
  if (flags.json) return printJson(reply);
  const rows = flags.uid.map((uid, i) => [uid, reply.receipts[i] ?? '']);
  await printLine(formatTable(['uid', 'receipt'], rows));
  const missing = reply.missing.length > 0 ? `, not yet: ${reply.missing.join(', ')}` : '';
  await printLine(`reached ${shortName(reply.reached)}${missing}`);
}

function shortName(waitFor: WaitForName): string {
  return waitFor.replace('WAIT_FOR_', '').toLowerCase();
}

async function changeFromFile(
  client: AdminClient,
  action: 'add' | 'rm',
  flags: Omit<ChangeFlags, 'waitFor'> & { readonly waitFor: WaitForName },
): Promise<void> {
  if (flags.receipt)
    throw new UsageError('--receipt goes with --channel and --uid, not with --file');
  let failures = 0;
  const totals = await runBulk(client, readBatches(action, flags), {
    replyTimeoutMs: flags.timeoutMs,
    onReply: ({ error }, batch) => {
      if (!error || ++failures > 10) return;
      const lines = `lines ${(batch as NumberedBatch).lines.join(' to ')}`;
      process.stderr.write(`holdfast: ${lines}: ${printable(error.message)}\n`);
    },
  });
  if (totals.refused > 0) process.exitCode = EXIT.failed;
  if (flags.json) return printJson(totals);
  await printLine(`${totals.applied} applied, ${totals.refused} refused`);
}

interface NumberedBatch extends BulkBatch {
  /** First and last line in the file. */
  readonly lines: readonly [number, number];
}

async function* readBatches(
  action: 'add' | 'rm',
  flags: { readonly file?: string; readonly type: number; readonly waitFor: WaitForName },
): AsyncGenerator<NumberedBatch> {
  const input = flags.file === '-' ? process.stdin : createReadStream(flags.file!);
  const failed = new Promise<never>((_resolve, reject) => input.once('error', reject));
  failed.catch(() => {});
  const lines = createInterface({ input, crlfDelay: Infinity });
  let [channelIds, uids, first, at]: [string[], string[], number, number] = [[], [], 1, 0];
  const cut = (): NumberedBatch => ({
    action: action === 'add' ? 'BULK_ACTION_SUBSCRIBE' : 'BULK_ACTION_UNSUBSCRIBE',
    channelIds,
    channelTypes: [flags.type],
    uids,
    waitFor: flags.waitFor,
    lines: [first, at],
  });
  const iterator = lines[Symbol.asyncIterator]();
  for (;;) {
    const { done, value: line } = await Promise.race([iterator.next(), failed]);
    if (done) break;
    at++;
    if (line === '') continue;
    const parts = line.split('\t');
    if (parts.length !== 2) throw new UsageError(`line ${at}: expected channel<TAB>uid`);
    channelIds.push(parts[0]!);
    uids.push(parts[1]!);
    if (uids.length < BATCH_PAIRS) continue;
    yield cut();
    [channelIds, uids, first] = [[], [], at + 1];
  }
  if (uids.length > 0) yield cut();
}

interface ListFlags extends ConnectionFlags {
  readonly channel?: string;
  readonly type: number;
  readonly uid?: string;
  readonly limit?: number;
}

async function list(client: AdminClient, flags: ListFlags): Promise<void> {
  const { channel, type, uid, limit = Infinity } = flags;
  if (channel !== undefined && uid !== undefined) {
    throw new UsageError('give --channel or --uid, not both');
  }
  const filter =
    channel !== undefined
      ? { channel: { channelId: channel, channelType: type } }
      : uid !== undefined
        ? { uid }
        : {};
  const pageSize = Math.max(1, Math.min(BATCH_PAIRS, limit));
  let printed = 0;
  if (!flags.json) await printLine('type\tchannel\tuid');
  for await (const page of client.listSubscriptions({ ...filter, pageSize })) {
    for (const [i, user] of page.uids.entries()) {
      if (printed++ >= limit) return;
      const [channelId, channelType] = [page.channelIds[i]!, page.channelTypes[i]!];
      await (flags.json
        ? printJson({ channelId, channelType, uid: user })
        : printLine(`${channelType}\t${printable(channelId)}\t${printable(user)}`));
    }
  }
}
