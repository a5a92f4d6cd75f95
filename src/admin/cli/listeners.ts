import type { Command } from 'commander';
import type { AdminClient } from '../client.ts';
import type { ListenerInfo, ListenerReply } from '../listener-messages.ts';
import {
  addConnectionOptions,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { formatTable, formatTime, printJson, printLine } from './output.ts';

export function addListenerCommands(program: Command): void {
  const group = program
    .command('listener')
    .description('what takes connections on the asked node: client (WebSocket) and http');
  addConnectionOptions(group.command('ls'))
    .description('their state, address and open connections')
    .action((flags: ConnectionFlags) => withClient(flags, (client) => list(client, flags)));
  addConnectionOptions(group.command('enable <name>'))
    .description('takes connections again; also calls off a drain')
    .action((name: string, flags: ConnectionFlags) =>
      withClient(flags, async (client) => show(await client.enableListener({ name }), flags)),
    );
  addConnectionOptions(group.command('disable <name>'))
    .description('ends every connection in order and takes no new one; the port stays bound')
    .option('--retry-after <seconds>', 'when clients shall come back', wholeNumber, 5)
    .option('--for-good', 'clients are told that no return is planned')
    .action((name: string, flags: DisableFlags) =>
      withClient(flags, async (client) => {
        const { retryAfter: retryAfterSeconds, forGood = false } = flags;
        await show(await client.disableListener({ name, retryAfterSeconds, forGood }), flags);
      }),
    );
  addConnectionOptions(program.command('drain'))
    .description('sends the clients of the asked node to others, at a pace; the node stays up')
    .option('--rate <n>', 'sessions a second (default: as configured)', wholeNumber, 0)
    .action((flags: ConnectionFlags & { rate: number }) =>
      withClient(flags, async (client) => {
        const reply = await client.drain({ sessionsPerSecond: flags.rate });
        if (flags.json) return printJson(reply);
        await printLine(`${reply.node} sends ${reply.sessions} sessions elsewhere`);
      }),
    );
}

interface DisableFlags extends ConnectionFlags {
  readonly retryAfter: number;
  readonly forGood?: boolean;
}

async function list(client: AdminClient, { json }: ConnectionFlags): Promise<void> {
  const { node, listeners } = await client.listeners();
  if (json) {
    for (const one of listeners) await printJson({ node, ...one });
    return;
  }
  const head = ['listener', 'state', 'address', 'connections', 'since (UTC)'];
  await printLine(formatTable(head, listeners.map(row)));
}

function row({ name, state, address, connections, sinceMs }: ListenerInfo) {
  return [name, state, address, connections, sinceMs === 0 ? 'start' : formatTime(sinceMs)];
}

async function show(reply: ListenerReply, { json }: ConnectionFlags): Promise<void> {
  if (json) return printJson(reply);
  const { node, listener, changed, ended, terminated } = reply;
  const what = `${node}: ${listener!.name} is ${changed ? '' : 'already '}${listener!.state}`;
  const late = terminated > 0 ? `, ${terminated} of them terminated` : '';
  await printLine(ended > 0 ? `${what}, ${ended} connections ended${late}` : what);
}
