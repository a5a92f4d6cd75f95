import { readFileSync } from 'node:fs';
import { InvalidArgumentError, type Command } from 'commander';
import type { AdminClient } from '../client.ts';
import {
  addConnectionOptions,
  UsageError,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { formatTable, printable, printJson, printLine, type Cell } from './output.ts';

const DEVICES: readonly string[] = ['app', 'web', 'desktop'];

export function addUserCommands(program: Command): void {
  const group = program.command('user').description('tokens, devices and rights of users');

  addConnectionOptions(group.command('show'))
    .description('what is set, and where the user is online')
    .argument('<uid>')
    .action((uid: string, flags: ConnectionFlags) =>
      withClient(flags, (client) => show(client, uid, flags)),
    );

  addConnectionOptions(group.command('set-token'))
    .description('replaces the token of one device')
    .argument('<uid>')
    .requiredOption('--device <name>', 'app, web or desktop', deviceFlag)
    .requiredOption('--file <path>', 'file that holds the token; "-" is standard input')
    .option('--master', 'a new connection of the device ends its older one')
    .action((uid: string, flags: TokenFlags) =>
      withClient(flags, (client) => setToken(client, uid, flags)),
    );

  addConnectionOptions(group.command('sign-out'))
    .description('revokes tokens and ends the sessions on every node')
    .argument('<uid>')
    .option('--device <name>', 'app, web or desktop; else all', deviceFlag)
    .action((uid: string, flags: SignOutFlags) =>
      withClient(flags, (client) => signOut(client, uid, flags)),
    );

  addSystemCommands(group.command('system').description('users who may send wherever anybody may'));
}

function addSystemCommands(group: Command): void {
  addConnectionOptions(group.command('ls'))
    .description('who they are')
    .option('--limit <n>', 'at most this many', wholeNumber, 0)
    .action((flags: ConnectionFlags & { readonly limit: number }) =>
      withClient(flags, async (client) => {
        for (const uid of (await client.systemUsers({ limit: flags.limit })).uids) {
          await (flags.json ? printJson({ uid }) : printLine(printable(uid)));
        }
      }),
    );
  const change = (name: 'add' | 'rm', description: string): void => {
    addConnectionOptions(group.command(name))
      .description(description)
      .argument('<uids...>')
      .action((uids: string[], flags: ConnectionFlags) =>
        withClient(flags, async (client) => {
          await client.setSystemUsers({ uids, system: name === 'add' });
          await (flags.json ? printJson({ uids }) : printLine('done'));
        }),
      );
  };
  change('add', 'makes users system users');
  change('rm', 'makes them plain users again');
}

async function show(client: AdminClient, uid: string, { json }: ConnectionFlags): Promise<void> {
  const info = await client.user({ uid });
  if (json) return printJson(info);
  const system = info.system ? 'yes' : 'no';
  await printLine(
    `system user: ${system}, takes strangers anyway: ${info.allowStranger ? 'yes' : 'no'}`,
  );
  if (info.devices.length === 0) return printLine('not online');
  const rows = info.devices.map((device): Cell[] => [
    ...[DEVICES[device.deviceFlag] ?? String(device.deviceFlag), device.member],
  ]);
  await printLine(formatTable(['device', 'on'], rows));
}

interface TokenFlags extends ConnectionFlags {
  readonly device: number;
  readonly file: string;
  readonly master?: boolean;
}

/** Out of a file: what is on a command line every user of the machine may read. */
async function setToken(client: AdminClient, uid: string, flags: TokenFlags): Promise<void> {
  const { device, master = false, json } = flags;
  const token = readToken(flags.file);
  await client.setToken({ uid, deviceFlag: device, deviceLevel: master ? 1 : 0, token });
  await (json ? printJson({ uid, device }) : printLine('the token is set'));
}

function readToken(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8').trim();
  } catch (error) {
    throw new UsageError(`--file: ${(error as Error).message}`, { cause: error });
  }
}

interface SignOutFlags extends ConnectionFlags {
  readonly device?: number;
}

async function signOut(
  client: AdminClient,
  uid: string,
  { device, json }: SignOutFlags,
): Promise<void> {
  await client.signOut(device === undefined ? { uid } : { uid, deviceFlag: device });
  await (json ? printJson({ uid }) : printLine('signed out: the old tokens are no longer valid'));
}

function deviceFlag(text: string): number {
  const flag = DEVICES.indexOf(text);
  if (flag >= 0) return flag;
  throw new InvalidArgumentError(`Expected ${DEVICES.join(', ')}, found "${text}".`);
}
