import { InvalidArgumentError, type Command } from 'commander';
import type { AdminClient } from '../client.ts';
import type { ChannelInfo, SetChannelRequest } from '../moderation-messages.ts';
import {
  addConnectionOptions,
  UsageError,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { formatTable, printJson, printLine } from './output.ts';

interface ChannelPlace extends ConnectionFlags {
  readonly channel: string;
  readonly type: number;
}

export function addChannelCommands(program: Command): void {
  const group = program.command('channel').description('settings and flags of one channel');
  const command = (name: string, description: string): Command =>
    addConnectionOptions(group.command(name))
      .description(description)
      .requiredOption('--channel <id>', 'channel id')
      .option('--type <n>', 'channel type: 2 group, 3 to 10 others', wholeNumber, 2);

  command('show', 'what is set').action((flags: ChannelPlace) =>
    withClient(flags, async (client) => print(await client.channel(placeOf(flags)), flags)),
  );
  command('set', 'changes what is given, leaves the rest; makes the channel where there is none')
    .option('--ban <on|off>', 'nobody sends, the backend neither', onOff)
    .option('--send-ban <on|off>', 'no client sends, the backend does', onOff)
    .option('--disband <on|off>', 'nobody sends or subscribes', onOff)
    .option('--allow-stranger <on|off>', 'who is no subscriber may send', onOff)
    .option('--large <on|off>', 'what backends say of it; changes nothing here', onOff)
    .option('--join <open|closed>', 'open: clients may subscribe themselves')
    .option('--owner <uid>', 'may recall any message; "" for nobody')
    .option('--manager <uid...>', 'may too; replaces them all')
    .option('--no-managers', 'nobody is a manager')
    .action((flags: SetFlags) => withClient(flags, (client) => set(client, flags)));
  command('rm', 'deletes it: nobody sends, everybody is unsubscribed').action(
    (flags: ChannelPlace) => withClient(flags, (client) => remove(client, flags)),
  );
}

interface SetFlags extends ChannelPlace {
  readonly ban?: boolean;
  readonly sendBan?: boolean;
  readonly disband?: boolean;
  readonly allowStranger?: boolean;
  readonly large?: boolean;
  readonly join?: string;
  readonly owner?: string;
  readonly manager?: readonly string[];
  /** False after --no-managers. */
  readonly managers: boolean;
}

async function set(client: AdminClient, flags: SetFlags): Promise<void> {
  const { ban, sendBan, disband, allowStranger, large, join, owner, manager } = flags;
  if (manager && !flags.managers) throw new UsageError('give --manager or --no-managers, not both');
  const managers = manager ? { uids: manager } : flags.managers ? undefined : { uids: [] };
  const change = { ban, sendBan, disband, allowStranger, large, join, owner, managers };
  const said = Object.entries(change).filter(([, value]) => value !== undefined);
  if (said.length === 0) throw new UsageError('give at least one setting');
  const request = { ...placeOf(flags), ...Object.fromEntries(said) } as SetChannelRequest;
  await print(await client.setChannel(request), flags);
}

async function remove(client: AdminClient, flags: ChannelPlace): Promise<void> {
  const reply = await client.deleteChannel(placeOf(flags));
  if (flags.json) return printJson(reply);
  await printLine(`deleted, ${reply.unsubscribed} unsubscribed`);
}

async function print(info: ChannelInfo, { json }: ConnectionFlags): Promise<void> {
  if (json) return printJson(info);
  if (!info.exists) return printLine('no such channel: nothing is set, clients may subscribe');
  const { join, ban, sendBan, disband, allowStranger, large, owner, managers } = info;
  const rows = [
    ...[['join', join] as const, ['ban', ban] as const, ['send ban', sendBan] as const],
    ...[['disband', disband] as const, ['allow stranger', allowStranger] as const],
    ...[['large', large] as const, ['owner', owner] as const],
    ['managers', managers.join(' ')] as const,
  ];
  await printLine(formatTable(['setting', 'value'], rows));
}

function placeOf({ channel, type }: ChannelPlace) {
  return { channelId: channel, channelType: type };
}

function onOff(text: string): boolean {
  if (text === 'on') return true;
  if (text === 'off') return false;
  throw new InvalidArgumentError(`Expected on or off, found "${text}".`);
}
