import type { Command } from 'commander';
import type { AdminClient } from '../client.ts';
import type { Session } from '../messages.ts';
import {
  addConnectionOptions,
  UsageError,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { formatTable, formatTime, printJson, printLine } from './output.ts';

/** What one table holds at once; more sessions are printed as further tables. */
const TABLE_ROWS = 1_000;
const DEVICES: readonly string[] = ['app', 'web', 'desktop'];

export function addMessageCommands(program: Command): void {
  addConnectionOptions(program.command('publish'))
    .description('publishes one message')
    .requiredOption('--from <uid>', 'sender')
    .requiredOption(
      '--channel <id>',
      'channel id; of a person channel the receiver or the pair a@b',
    )
    .option('--type <n>', 'channel type: 1 person, 2 group, 3 to 10 others', wholeNumber, 2)
    .requiredOption('--payload <text>', 'payload, sent as UTF-8')
    .option('--client-msg-no <text>', 'repeating it with the same payload yields the same message')
    .option('--no-persist', 'live subscribers only, not stored')
    .option('--expire-seconds <n>', '0 for never', wholeNumber, 0)
    .action((flags: PublishFlags) => withClient(flags, (client) => publish(client, flags)));

  addConnectionOptions(program.command('sessions'))
    .description('client sessions of one node')
    .option('--uid <uid>', 'of this user only')
    .option('--limit <n>', 'at most this many', wholeNumber, 0)
    .action((flags: SessionsFlags) => withClient(flags, (client) => sessions(client, flags)));

  addConnectionOptions(program.command('kick'))
    .description('ends sessions of one node; their clients do not reconnect by themselves')
    .option('--id <n>', 'session id', wholeNumber)
    .option('--uid <uid>', 'every session of this user')
    .option('--text <text>', 'shown to the client', '')
    .action((flags: KickFlags) => withClient(flags, (client) => kick(client, flags)));
}

interface PublishFlags extends ConnectionFlags {
  readonly from: string;
  readonly channel: string;
  readonly type: number;
  readonly payload: string;
  readonly clientMsgNo?: string;
  /** False after --no-persist. */
  readonly persist: boolean;
  readonly expireSeconds: number;
}

async function publish(client: AdminClient, flags: PublishFlags): Promise<void> {
  const reply = await client.publish({
    sender: flags.from,
    channelId: flags.channel,
    channelType: flags.type,
    payload: Buffer.from(flags.payload),
    clientMsgNo: flags.clientMsgNo ?? '',
    noPersist: !flags.persist,
    expireSeconds: flags.expireSeconds,
  });
  if (flags.json) return printJson(reply);
  const row = [reply.messageId, reply.messageSeq, reply.clientMsgNo, reply.disks];
  await printLine(formatTable(['message id', 'seq', 'client number', 'disks'], [row]));
}

interface SessionsFlags extends ConnectionFlags {
  readonly uid?: string;
  readonly limit: number;
}

async function sessions(client: AdminClient, flags: SessionsFlags): Promise<void> {
  const { uid = '', limit } = flags;
  let rows: (string | number)[][] = [];
  const head = ['id', 'uid', 'device', 'level', 'connected (UTC)', 'from', 'protocol', 'channels'];
  let printed = false;
  for await (const session of client.sessions({ uid, limit })) {
    if (flags.json) await printJson(session);
    else if (rows.push(toRow(session)) === TABLE_ROWS) {
      await printLine(formatTable(head, rows));
      [rows, printed] = [[], true];
    }
  }
  if (!flags.json && (rows.length > 0 || !printed)) await printLine(formatTable(head, rows));
}

function toRow(session: Session): (string | number)[] {
  const device = DEVICES[session.deviceFlag] ?? String(session.deviceFlag);
  const { id, uid, deviceLevel, connectedAtMs, remoteAddress, protocol, channels } = session;
  const level = deviceLevel === 1 ? 'master' : 'slave';
  return [id, uid, device, level, formatTime(connectedAtMs), remoteAddress, protocol, channels];
}

interface KickFlags extends ConnectionFlags {
  readonly id?: number;
  readonly uid?: string;
  readonly text: string;
}

async function kick(client: AdminClient, flags: KickFlags): Promise<void> {
  const { id, uid, text } = flags;
  if ((id === undefined) === (uid === undefined)) throw new UsageError('give --id or --uid');
  const reply = await client.kickSession(id === undefined ? { uid: uid!, text } : { id, text });
  if (flags.json) return printJson(reply);
  await printLine(`${reply.kicked} ${reply.kicked === 1 ? 'session' : 'sessions'} ended`);
}
