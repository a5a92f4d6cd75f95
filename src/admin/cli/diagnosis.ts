import { setTimeout as wait } from 'node:timers/promises';
import { InvalidArgumentError, type Command } from 'commander';
import { systemRuntime } from '../../runtime/system.ts';
import type { AdminClient } from '../client.ts';
import type { RepairReply, VerifyState } from '../diagnosis-messages.ts';
import {
  addConnectionOptions,
  EXIT,
  UsageError,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { formatExplanation } from './explain-brief.ts';
import { formatLog } from './explain-view.ts';
import { formatTable, printable, printJson, printLine } from './output.ts';
import { formatBar, formatLastTrue, formatOutcome, formatStep } from './verify-view.ts';

const CLEAR_SCREEN = '\u001b[2J\u001b[H';
const CLEAR_LINE = '\r\u001b[2K';
const TYPE = 'channel type: 1 person, 2 group, 3 to 10 others';

export function addDiagnosisCommands(program: Command): void {
  addConnectionOptions(program.command('explain <uid> <channel>'))
    .description('why a user does or does not receive in a channel: the verdict, then every layer')
    .option('--type <n>', TYPE, wholeNumber, 2)
    .option('--full', 'every layer of every node, with its peers')
    .option('--watch [seconds]', 'again every so many seconds (2), until interrupted', wholeNumber)
    .action((uid: string, channel: string, flags: ExplainFlags) =>
      withClient(flags, (client) => explain(client, flags, { uid, channel })),
    );

  addConnectionOptions(program.command('repair <uid> <channel>'))
    .description('puts a user in a channel right on every node, and says what was changed')
    .option('--type <n>', TYPE, wholeNumber, 2)
    .action((uid: string, channel: string, flags: PairFlags) =>
      withClient({ ...flags, timeoutMs: Math.max(flags.timeoutMs, REPAIR_MS) }, (client) =>
        repair(client, flags, { uid, channel }),
      ),
    );

  addConnectionOptions(program.command('verify'))
    .description('proves that all layers of all nodes agree; exit code 1 where they do not')
    .action((flags: ConnectionFlags) => withClient(flags, (client) => verify(client, flags)));

  addConnectionOptions(program.command('log'))
    .description("subscription operations, refusals and repairs from all nodes' logs, newest first")
    .option('--user <uid>', 'of this user')
    .option('--channel <id>', 'of this channel')
    .option('--type <n>', TYPE, wholeNumber, 2)
    .option('--since <time>', '30s, 10m, 2h, 3d, or a time as 2026-11-23T03:00:00Z', since)
    .option('--cause <cause>', 'client, http, admin, system, replicated, or of a repair')
    .option('--limit <n>', 'at most this many lines', wholeNumber, 100)
    .action((flags: LogFlags) => withClient(flags, (client) => log(client, flags)));
}

/** A repair asks the nodes for longer than other calls. */
const REPAIR_MS = 20_000;

interface PairFlags extends ConnectionFlags {
  readonly type: number;
}

interface ExplainFlags extends PairFlags {
  readonly full?: true;
  readonly watch?: number | true;
}

interface Named {
  readonly uid: string;
  readonly channel: string;
}

/** Exit code 1 where the user does not receive, so that a script can ask. */
async function explain(client: AdminClient, flags: ExplainFlags, named: Named): Promise<void> {
  const request = { uid: named.uid, channelId: named.channel, channelType: flags.type };
  for (;;) {
    const explanation = await client.explain(request);
    const { receives } = explanation;
    process.exitCode = receives === 'yes' || receives === 'offline' ? 0 : EXIT.failed;
    if (flags.json) await printJson(explanation);
    else {
      const clear = flags.watch !== undefined && process.stdout.isTTY ? CLEAR_SCREEN : '';
      await printLine(clear + formatExplanation(explanation, flags.full ? 'full' : 'brief'));
    }
    if (flags.watch === undefined) return;
    await wait((flags.watch === true ? 2 : Math.max(1, flags.watch)) * 1000);
  }
}

async function repair(client: AdminClient, flags: PairFlags, named: Named): Promise<void> {
  const request = { uid: named.uid, channelId: named.channel, channelType: flags.type };
  const reply = await client.repair(request);
  const failed = reply.members.some((member) => member.failed.length > 0);
  if (failed || reply.silent.length > 0) process.exitCode = EXIT.failed;
  if (flags.json) return printJson(reply);
  await printLine(formatRepair(reply));
  if (reply.after) await printLine(`\n${formatExplanation(reply.after, 'brief')}`);
}

function formatRepair({ changes, members, silent }: RepairReply): string {
  const rows = changes.map((one) => [one.member, one.layer, one.action, one.cause, one.detail]);
  const done =
    rows.length === 0
      ? 'nothing to repair'
      : formatTable(['node', 'layer', 'done', 'cause', 'detail'], rows);
  const gaps = [
    ...members.flatMap(({ member, failed }) => failed.map((text) => `${member}  ${text}`)),
    ...silent.map(({ member, reason }) => `${member}  did not answer: ${reason}`),
  ];
  return [done, ...gaps.map(printable)].join('\n');
}

/** A bar on a terminal; elsewhere a line for each comparison as it ends. */
async function verify(client: AdminClient, flags: ConnectionFlags): Promise<void> {
  const controller = new AbortController();
  const onInterrupt = (): void => controller.abort();
  process.once('SIGINT', onInterrupt);
  const bar = process.stdout.isTTY && !flags.json;
  const told = new Set<string>();
  let last: VerifyState | undefined;
  process.exitCode = EXIT.failed;
  try {
    for await (const state of client.verify(controller.signal)) {
      if (!last && !flags.json) {
        await printLine(formatLastTrue(state.lastTrueMs, systemRuntime.clock.wallMs()));
      }
      last = state;
      if (flags.json) await printJson(state);
      else if (bar) process.stdout.write(CLEAR_LINE + formatBar(state));
      else if (!state.ended) await tellSteps(state, told);
    }
  } finally {
    process.off('SIGINT', onInterrupt);
    if (bar) process.stdout.write(CLEAR_LINE);
  }
  if (!last?.ended) throw new UsageError('interrupted before the proof was complete');
  if (last.proved) process.exitCode = 0;
  if (!flags.json) await printLine(formatOutcome(last));
}

async function tellSteps({ steps }: VerifyState, told: Set<string>): Promise<void> {
  for (const step of steps) {
    const line = printable(formatStep(step));
    if (step.state === 'running' || told.has(line)) continue;
    told.add(line);
    await printLine(line);
  }
}

interface LogFlags extends ConnectionFlags {
  readonly user?: string;
  readonly channel?: string;
  readonly type: number;
  readonly since?: number;
  readonly cause?: string;
  readonly limit: number;
}

async function log(client: AdminClient, flags: LogFlags): Promise<void> {
  const { user = '', channel, type, since: sinceMs = 0, cause = '', limit } = flags;
  const about = channel === undefined ? null : { channelId: channel, channelType: type };
  const reply = await client.operationLog({ uid: user, channel: about, cause, sinceMs, limit });
  if (flags.json) {
    for (const line of reply.lines) await printJson(line);
  } else await printLine(formatLog(reply.lines, 'wide'));
  for (const { member, reason } of reply.silent) {
    process.exitCode = EXIT.failed;
    process.stderr.write(`holdfast: ${printable(`${member} did not answer: ${reason}`)}\n`);
  }
}

const UNITS: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7 };

/** Milliseconds since 1970. */
function since(text: string): number {
  const back = /^(\d{1,6})([smhd])$/.exec(text);
  if (back) return systemRuntime.clock.wallMs() - Number(back[1]) * UNITS[back[2]!]!;
  const at = /^\d{4}-/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(at))
    throw new InvalidArgumentError(`Expected 10m, 2h, 3d or a time: "${text}".`);
  return at;
}
