import { writeFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { CONNECTION_STATES } from '../../core/kinds/connection.ts';
import { CONNECTION_ACTIONS, type ConnectionAction } from '../../connections/port.ts';
import { encodeQr } from '../qr/encode.ts';
import { qrPng, qrText } from '../qr/show.ts';
import { systemRuntime } from '../../runtime/system.ts';
import type { AdminClient } from '../client.ts';
import type { ConnectionInfo } from '../connection-messages.ts';
import {
  addConnectionOptions,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { formatTable, formatTime, printJson, printLine } from './output.ts';

const WHAT: Readonly<Record<ConnectionAction, string>> = {
  start: 'opens what is not open and wants it open from now on',
  retry: 'ends the attempt, if there is one, and begins another at once',
  cancel: 'ends it until somebody starts it again',
  remove: 'forgets one that was cancelled',
  take: 'makes the asked node its owner in the place of one that is not live',
};

export function addConnectionsCommands(program: Command): void {
  const group = program
    .command('connections')
    .description('connections that the cluster keeps open');
  addConnectionOptions(group.command('ls'))
    .description('all of them, with state, age, deadline and reason')
    .addOption(new Option('--state <state>', 'only these').choices(CONNECTION_STATES).default(''))
    .action((flags: ConnectionFlags & { state: string }) =>
      withClient(flags, async (client) => {
        const { connections } = await client.connections({ state: flags.state });
        if (flags.json) await printJson(connections);
        else await printLine(table(connections, systemRuntime.clock.wallMs()));
      }),
    );
  addConnectionOptions(group.command('show <id>'))
    .description('one of them, with its journal')
    .action((id: string, flags: ConnectionFlags) =>
      withClient(flags, async (client) => show(await client.connection({ id }), flags)),
    );
  addConnectionOptions(group.command('add <id>'))
    .description('keeps another one, owned by the asked node')
    .requiredOption(
      '--kind <kind>',
      'its driver, or "external" where another process tells its states',
    )
    .option('--target <json>', 'what the driver needs', '')
    .action((id: string, flags: ConnectionFlags & { kind: string; target: string }) =>
      withClient(flags, async (client) => {
        const { kind, target } = flags;
        await show(await client.createConnection({ id, kind, target }), flags);
      }),
    );
  for (const action of CONNECTION_ACTIONS) {
    addConnectionOptions(group.command(`${action} <id>`))
      .description(WHAT[action])
      .action((id: string, flags: ConnectionFlags) =>
        withClient(
          flags,
          async (client) => await show(await client.actOnConnection({ id, action }), flags),
        ),
      );
  }
  addReport(group);
  addPairing(group);
  addConnectionOptions(group.command('rollback <id> <version>'))
    .description('back to the standing of an earlier version, where that is a legal step')
    .action((id: string, version: string, flags: ConnectionFlags) =>
      withClient(flags, async (client) => {
        const to = wholeNumber(version);
        await show(await client.rollbackConnection({ id, version: to }), flags);
      }),
    );
}

function addReport(group: Command): void {
  interface Flags extends ConnectionFlags {
    readonly attempt: number;
    readonly version: number;
    readonly reason: string;
    readonly code: string;
  }
  addConnectionOptions(group.command('report <id> <state>'))
    .description('what an attempt of an external connection has come to')
    .requiredOption('--attempt <n>', 'which attempt', wholeNumber)
    .option('--version <n>', 'only while this is the version', wholeNumber, 0)
    .requiredOption('--reason <text>', 'why')
    .option('--code <text>', 'with QRCODE: what is to be scanned or typed', '')
    .action((id: string, to: string, { attempt, version, reason, code, ...flags }: Flags) =>
      withClient(flags, async (client: AdminClient) => {
        const report = { id, to, attempt, version, reason, code };
        await show(await client.reportConnection(report), flags);
      }),
    );
}

function show(connection: ConnectionInfo, { json }: Pick<ConnectionFlags, 'json'>): Promise<void> {
  if (json) return printJson(connection);
  const lines = [table([connection], systemRuntime.clock.wallMs())];
  const code = connection.standing?.code;
  if (code) lines.push(codeText(code));
  if (connection.journal.length > 0) {
    const rows = connection.journal.map(({ from, event, actor, node, atMs, after }) => [
      ...[formatTime(atMs), after?.version ?? '', `${from} → ${after?.state ?? ''}`],
      ...[event, actor, node, after?.attempt ?? '', after?.reason ?? ''],
    ]);
    const head = ['time (UTC)', 'version', 'change', 'event', 'actor', 'node', 'attempt', 'reason'];
    lines.push(formatTable(head, rows));
  }
  return printLine(lines.join('\n\n'));
}

/** To be scanned from the terminal, and as text to be typed. */
function codeText(code: string): string {
  const matrix = encodeQr(code);
  return matrix ? `${qrText(matrix)}\n\ncode: ${code}` : `code: ${code}`;
}

/** The code of a connection that waits to be paired, and who confirms it here. */
function addPairing(group: Command): void {
  addConnectionOptions(group.command('code <id>'))
    .description('the code that is to be confirmed, as a picture in the terminal or as PNG')
    .option('--png <file>', 'write it there')
    .action((id: string, { png, ...flags }: ConnectionFlags & { png?: string }) =>
      withClient(flags, async (client) => {
        const { standing } = await client.connection({ id });
        const code = standing?.code ?? '';
        if (code === '') throw new Error(`${id}: no code waits (${standing?.state})`);
        const matrix = encodeQr(code);
        if (png !== undefined) {
          if (!matrix) throw new Error(`${id}: its code is too long for a picture`);
          writeFileSync(png, qrPng(matrix));
        }
        if (flags.json) return printJson({ id, code, png });
        return printLine(png === undefined ? codeText(code) : `${png} shows the code of ${id}`);
      }),
    );
  addConnectionOptions(group.command('confirm <id> <code>'))
    .description('confirms a code in the place of a device of its user')
    .action((id: string, code: string, flags: ConnectionFlags) =>
      withClient(flags, async (client) => show(await client.confirmPairing({ id, code }), flags)),
    );
}

function table(connections: readonly ConnectionInfo[], nowMs: number): string {
  if (connections.length === 0) return 'no connections';
  const rows = connections.map(({ id, kind, standing }) => {
    if (!standing) return [id, kind];
    const { state, enabled, owner, attempt, version, sinceMs, deadlineMs, reason } = standing;
    const ends = deadlineMs === 0 ? '-' : seconds(deadlineMs - nowMs);
    const wanted = enabled ? 'enabled' : 'cancelled';
    const age = seconds(nowMs - sinceMs);
    return [id, kind, state, wanted, owner, attempt, version, age, ends, reason];
  });
  const head = ['id', 'kind', 'state', 'wanted', 'owner', 'attempt', 'version'];
  return formatTable([...head, 'for', 'ends in', 'reason'], rows);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(0)} s`;
}
