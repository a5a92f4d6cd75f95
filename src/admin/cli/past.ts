import type { Command } from 'commander';
import type { AdminClient } from '../client.ts';
import type { StoredMessage } from '../past-messages.ts';
import {
  addConnectionOptions,
  UsageError,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { formatTable, formatTime, printJson, printLine, type Cell } from './output.ts';

/** Of a payload in a table; `--json` has all of it. */
const PREVIEW_LENGTH = 60;

export function addPastCommands(program: Command): void {
  addPlaceOptions(addConnectionOptions(program.command('history')))
    .description('messages of one channel, the newest page; --json has whole payloads, in base64')
    .option('--start-seq <n>', 'from this message on, included', sequence, 0)
    .option('--end-seq <n>', 'up to this message, left out', sequence, 0)
    .option('--limit <n>', 'at most this many', wholeNumber, 50)
    .option('--oldest-first', 'goes up from --start-seq instead of down')
    .action((flags: HistoryFlags) => withClient(flags, (client) => history(client, flags)));

  addPlaceOptions(addConnectionOptions(program.command('recall')))
    .description('takes one message back, whoever sent it and however long ago')
    .option('--id <digits>', 'message id')
    .option('--from <uid>', 'its sender, together with --client-msg-no instead of --id')
    .option('--client-msg-no <text>', "the sender's number of it")
    .option('--seq <n>', 'finds an old message faster', sequence, 0)
    .option('--by <uid>', 'who is said to have recalled it', '')
    .option('--reason <text>', 'shown with the tombstone', '')
    .action((flags: RecallFlags) => withClient(flags, (client) => recall(client, flags)));

  addConnectionOptions(program.command('conversations'))
    .description('conversations of one user, the newest first')
    .requiredOption('--uid <uid>', 'whose')
    .option('--unread', 'only those with something unread')
    .option('--limit <n>', 'at most this many', wholeNumber, 50)
    .option('--after <place>', 'goes on after the page before')
    .action((flags: ListFlags) => withClient(flags, (client) => conversations(client, flags)));
}

function addPlaceOptions(command: Command): Command {
  return command
    .requiredOption('--channel <id>', 'channel id; of a person channel the pair a@b, or with --uid')
    .option('--type <n>', 'channel type: 1 person, 2 group, 3 to 10 others', wholeNumber, 2)
    .option('--uid <uid>', 'of a person channel one of the two: --channel is then the other', '');
}

/** A message number: wider than the whole numbers of other options. */
function sequence(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : wholeNumber(text);
}

interface PlaceFlags extends ConnectionFlags {
  readonly channel: string;
  readonly type: number;
  readonly uid: string;
}

interface HistoryFlags extends PlaceFlags {
  readonly startSeq: number;
  readonly endSeq: number;
  readonly limit: number;
  readonly oldestFirst?: boolean;
}

async function history(client: AdminClient, flags: HistoryFlags): Promise<void> {
  const { startSeq, endSeq, limit, oldestFirst = false } = flags;
  const place = { channelId: flags.channel, channelType: flags.type, uid: flags.uid };
  const page = await client.history({ ...place, startSeq, endSeq, limit, oldestFirst });
  if (flags.json) {
    for (const message of page.messages) await printJson(toJson(message));
    if (page.cutTo > 0) await printJson({ cutTo: page.cutTo });
    if (page.nextSeq > 0) await printJson({ nextSeq: page.nextSeq });
    return;
  }
  const head = ['seq', 'message id', 'sent (UTC)', 'from', 'payload'];
  const rows = page.messages.map((message): Cell[] => [
    ...[message.messageSeq, message.messageId, formatTime(message.timestamp * 1000)],
    ...[message.fromUid, previewOf(message)],
  ]);
  await printLine(formatTable(head, rows));
  if (page.cutTo > 0) await printLine(`cut by retention up to ${page.cutTo}`);
  if (page.nextSeq > 0) await printLine(`more: --start-seq ${page.nextSeq}`);
}

interface RecallFlags extends PlaceFlags {
  readonly id?: string;
  readonly from?: string;
  readonly clientMsgNo?: string;
  readonly seq: number;
  readonly by: string;
  readonly reason: string;
}

async function recall(client: AdminClient, flags: RecallFlags): Promise<void> {
  const { id = '', from = '', clientMsgNo = '', seq, by, reason } = flags;
  if (id === '' && (from === '' || clientMsgNo === '')) {
    throw new UsageError('give --id, or --from with --client-msg-no');
  }
  const reply = await client.recall({
    ...{ channelId: flags.channel, channelType: flags.type, uid: flags.uid },
    ...{ messageId: id, fromUid: from, clientMsgNo, messageSeq: seq, by, reason },
  });
  if (flags.json) return printJson(reply);
  const who = reply.recall?.by ? ` by ${reply.recall.by}` : '';
  const when = formatTime(reply.recall?.atMs ?? 0);
  const what = reply.alreadyRecalled ? 'was recalled before' : `recalled, disks ${reply.disks}`;
  await printLine(`${reply.messageId} (seq ${reply.messageSeq}) ${what}${who} at ${when}`);
}

interface ListFlags extends ConnectionFlags {
  readonly uid: string;
  readonly unread?: boolean;
  readonly limit: number;
  readonly after?: string;
}

async function conversations(client: AdminClient, flags: ListFlags): Promise<void> {
  const { uid, unread: onlyUnread = false, limit, after = '' } = flags;
  const page = await client.conversations({ uid, onlyUnread, limit, after });
  if (flags.json) {
    for (const one of page.conversations) {
      await printJson({ ...one, last: one.last && toJson(one.last) });
    }
    if (page.next !== '') await printJson({ next: page.next });
    return;
  }
  const head = [
    'type',
    'channel',
    'unread',
    'read to',
    'last seq',
    'sent (UTC)',
    'from',
    'payload',
  ];
  const rows = page.conversations.map((one): Cell[] => [
    ...[one.channelType, one.channelId, one.unread, one.readSeq, one.last?.messageSeq ?? 0],
    ...[formatTime((one.last?.timestamp ?? 0) * 1000), one.last?.fromUid ?? ''],
    one.last ? previewOf(one.last) : '',
  ]);
  await printLine(formatTable(head, rows));
  if (page.next !== '') await printLine(`more: --after '${page.next}'`);
}

function previewOf({ payload, recall }: StoredMessage): string {
  if (recall) return `(recalled by ${recall.by || recall.role})`;
  const text = Buffer.from(payload).toString('utf8');
  return text.length > PREVIEW_LENGTH ? `${text.slice(0, PREVIEW_LENGTH)}…` : text;
}

function toJson(message: StoredMessage): object {
  return { ...message, payload: Buffer.from(message.payload).toString('base64') };
}
