import { Argument, type Command } from 'commander';
import type { AdminClient } from '../client.ts';
import type { ChannelListName, ListActionName } from '../moderation-messages.ts';
import {
  addConnectionOptions,
  UsageError,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { printable, printJson, printLine } from './output.ts';

const LISTS: Readonly<Record<string, ChannelListName>> = {
  ban: 'CHANNEL_LIST_BAN',
  mute: 'CHANNEL_LIST_MUTE',
  blacklist: 'CHANNEL_LIST_BLACKLIST',
  whitelist: 'CHANNEL_LIST_WHITELIST',
};
const ACTIONS = {
  add: 'LIST_ACTION_ADD',
  rm: 'LIST_ACTION_REMOVE',
  set: 'LIST_ACTION_SET',
} as const satisfies Readonly<Record<string, ListActionName>>;
const PAGE_SIZE = 1_000;

interface ListFlags extends ConnectionFlags {
  readonly channel: string;
  readonly type: number;
}

export function addModerationCommands(program: Command): void {
  const group = program
    .command('moderation')
    .description('whom a channel bans, mutes, blocks or lets send');
  const command = (name: string, description: string): Command =>
    addConnectionOptions(group.command(name))
      .description(description)
      .addArgument(new Argument('<list>').choices(Object.keys(LISTS)))
      .requiredOption('--channel <id>', 'channel id; with --type 1 a uid: the lists of that user')
      .option('--type <n>', 'channel type: 1 person, 2 group, 3 to 10 others', wholeNumber, 2);

  command('ls', 'who is on the list')
    .option('--limit <n>', 'at most this many', wholeNumber)
    .action((list: string, flags: ListFlags & { readonly limit?: number }) =>
      withClient(flags, (client) => print(client, list, flags)),
    );
  const change = (name: keyof typeof ACTIONS, description: string): void => {
    command(name, description)
      .option('--uid <uid...>', 'uids', [])
      .action((list: string, flags: ChangeFlags) =>
        withClient(flags, (client) => changeList(client, { list, name }, flags)),
      );
  };
  change('add', 'puts users on the list; a ban also unsubscribes');
  change('rm', 'takes users off the list');
  change('set', 'puts these on the list and takes everybody else off; without --uid everybody');
}

interface ChangeFlags extends ListFlags {
  readonly uid: readonly string[];
}

async function changeList(
  client: AdminClient,
  { list, name }: { readonly list: string; readonly name: keyof typeof ACTIONS },
  { channel, type, uid, json }: ChangeFlags,
): Promise<void> {
  if (name !== 'set' && uid.length === 0) throw new UsageError('give --uid');
  const place = { channelId: channel, channelType: type };
  await client.changeChannelList({
    ...place,
    list: LISTS[list]!,
    action: ACTIONS[name],
    uids: uid,
  });
  await (json ? printJson({ list, uids: uid }) : printLine('done'));
}

async function print(
  client: AdminClient,
  list: string,
  { channel, type, json, limit = Infinity }: ListFlags & { readonly limit?: number },
): Promise<void> {
  let [after, left] = ['', limit];
  while (left > 0) {
    const page = await client.channelList({
      ...{ channelId: channel, channelType: type, list: LISTS[list]! },
      ...{ after, limit: Math.min(left, PAGE_SIZE) },
    });
    for (const uid of page.uids) await (json ? printJson({ uid }) : printLine(printable(uid)));
    if (page.next === '') return;
    left -= page.uids.length;
    after = page.next;
  }
}
