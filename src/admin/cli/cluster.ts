import type { Command } from 'commander';
import { AdminCallError } from '../client.ts';
import type { DigestReply, MembersReply, Status, WatchEvent } from '../messages.ts';
import {
  addConnectionOptions,
  EXIT,
  openClient,
  UsageError,
  wholeNumber,
  withClient,
  type ConnectionFlags,
} from './connection.ts';
import { formatTable, formatTime, printable, printJson, printLine } from './output.ts';

const EVENT_KINDS = {
  member: 'EVENT_KIND_MEMBER',
  peer: 'EVENT_KIND_PEER',
  session: 'EVENT_KIND_SESSION',
  subscription: 'EVENT_KIND_SUBSCRIPTION',
  status: 'EVENT_KIND_STATUS',
  repair: 'EVENT_KIND_REPAIR',
} as const;
type EventKind = keyof typeof EVENT_KINDS;

export function addClusterCommands(program: Command): void {
  addConnectionOptions(program.command('members'))
    .description("the cluster's members, who is live, and replication with each")
    .action((flags: ConnectionFlags) => withClient(flags, (client) => members(flags, client)));

  addConnectionOptions(program.command('digest'))
    .description(
      'number and digest of the subscriptions of a node; equal tables have equal digests',
    )
    .option('--all', 'ask every member and compare; exit code 1 where they differ')
    .action((flags: ConnectionFlags & { readonly all?: boolean }) =>
      withClient(flags, (client) => (flags.all ? digests(flags, client) : digest(flags, client))),
    );

  addConnectionOptions(program.command('watch'))
    .description('what happens on a node, line by line, until interrupted')
    .option('--kind <kind...>', `only these: ${Object.keys(EVENT_KINDS).join(', ')}`)
    .option('--count <n>', 'end after this many events', wholeNumber)
    .action((flags: WatchFlags) => withClient(flags, (client) => watch(flags, client)));
}

export function addForgetCommand(program: Command): void {
  addConnectionOptions(program.command('forget'))
    .argument('<member>', 'its id, as `holdfast members` shows it')
    .description('takes a member that is gone off the roster for good (etcd membership); see below')
    .option('--force', 'also where it is live or has writes that the asked node lacks')
    .addHelpText('after', FORGET_HELP)
    .action((member: string, flags: ConnectionFlags & { readonly force?: true }) =>
      withClient(flags, async (client) => {
        const reply = await client.decommission({ member, force: flags.force ?? false });
        if (flags.json) return printJson(reply);
        await printLine(
          `${printable(reply.member)} is off the roster; it has ${reply.remaining.join(', ')} now`,
        );
      }),
    );
}

const FORGET_HELP = `
Ask a node that stays. Nothing that the others have is lost; what only the forgotten member has on its
disk is lost unless it returns. Should it return, or still run, it sets its store aside, joins anew and is
rebuilt from the others: stop its process and keep it stopped if it is to leave for good. Its slot is
never given to another member.`;

type Client = ReturnType<typeof openClient>;

async function members(flags: ConnectionFlags, client: Client): Promise<void> {
  const reply = await client.members();
  if (flags.json) return printJson(reply);
  const rows = reply.members.map((member) => {
    const { peer } = member;
    const self = member.id === reply.member;
    return [
      member.id + (self ? ' (this)' : ''),
      member.slot,
      self || member.live ? 'live' : 'suspect',
      self ? '' : peer?.live ? 'open' : 'down',
      self ? '' : (peer?.lagging ?? false),
      self ? '' : (peer?.behind ?? 0),
      member.clientAddress,
      member.httpAddress,
      member.adminAddress,
    ];
  });
  const head = [
    'member',
    'slot',
    'state',
    'stream',
    'lagging',
    'behind',
    'client',
    'http',
    'admin',
  ];
  await printLine(formatTable(head, rows));
  await printLine(summary(reply));
}

function summary(reply: MembersReply): string {
  const writes = reply.mayWrite ? 'taken' : 'refused until it has caught up';
  return [
    `cluster ${reply.cluster}, roster epoch ${reply.rosterEpoch}, version ${reply.version}`,
    `membership ${formatStatus(reply.membership)}, store ${formatStatus(reply.store)}`,
    `writes ${writes}, vector ${reply.vectorDigest}`,
  ].join('; ');
}

function formatStatus(status: Status | null): string {
  if (!status) return 'unknown';
  if (status.state === 'ok') return 'ok';
  return `${status.state} since ${formatTime(status.sinceMs)} (${printable(status.reason)})`;
}

async function digest(flags: ConnectionFlags, client: Client): Promise<void> {
  const reply = await client.digest();
  if (flags.json) return printJson(reply);
  await printLine(formatTable(['member', 'subscriptions', 'digest'], [digestRow(reply)]));
}

function digestRow(reply: DigestReply): [string, number, string] {
  return [reply.member, reply.subscriptions, reply.digest];
}

/** A member that does not answer is not equal: the tables were not compared. */
async function digests(flags: ConnectionFlags, client: Client): Promise<void> {
  const { members } = await client.members();
  const replies = await Promise.all(
    members.map(async ({ id, adminAddress }): Promise<DigestReply & { error?: string }> => {
      const member = openClient(flags, adminAddress);
      try {
        return await member.digest();
      } catch (error) {
        if (!(error instanceof AdminCallError)) throw error;
        return { member: id, subscriptions: 0, digest: '', error: error.message };
      } finally {
        member.close();
      }
    }),
  );
  const equal = replies.every((reply) => !reply.error && reply.digest === replies[0]!.digest);
  if (!equal) process.exitCode = EXIT.failed;
  if (flags.json) {
    for (const reply of replies) await printJson(reply);
    return printJson({ equal });
  }
  const rows = replies.map((reply) => [...digestRow(reply), reply.error ?? '']);
  await printLine(formatTable(['member', 'subscriptions', 'digest', 'error'], rows));
  await printLine(equal ? 'equal' : 'NOT equal');
}

interface WatchFlags extends ConnectionFlags {
  readonly kind?: readonly string[];
  readonly count?: number;
}

async function watch(flags: WatchFlags, client: Client): Promise<void> {
  const kinds = (flags.kind ?? []).map((kind) => {
    if (Object.hasOwn(EVENT_KINDS, kind)) return EVENT_KINDS[kind as EventKind];
    throw new UsageError(`--kind: "${kind}" is none of ${Object.keys(EVENT_KINDS).join(', ')}`);
  });
  const controller = new AbortController();
  const onInterrupt = (): void => controller.abort();
  process.once('SIGINT', onInterrupt);
  let seen = 0;
  try {
    for await (const event of client.watch({ kinds }, controller.signal)) {
      await (flags.json ? printJson(event) : printLine(formatEvent(event)));
      if (!event.watching && ++seen === flags.count) return;
    }
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

function formatEvent(event: WatchEvent): string {
  return `${formatTime(event.atMs)}  ${printable(describe(event))}`;
}

function describe(event: WatchEvent): string {
  const { member, peer, session, subscription, status } = event;
  if (event.repair) {
    const { layer, action, cause, channelId, uid, peer, detail } = event.repair;
    return ['repair', layer, action, cause, uid, channelId, peer, detail].filter(Boolean).join(' ');
  }
  if (event.watching) return `watching ${event.watching.member}`;
  if (member) return `member ${member.id} ${member.change}`;
  if (session) {
    return `session ${session.id} ${session.change}: ${session.uid} from ${session.remoteAddress}`;
  }
  if (subscription) {
    const { uid, change, channelType, channelId } = subscription;
    return `subscription ${uid} ${change} ${channelType}/${channelId}`;
  }
  if (status) return `${status.subject} ${formatStatus(status.status)}`;
  if (peer) {
    const state = peer.live ? (peer.lagging ? 'lagging' : 'live') : 'down';
    const error = peer.lastError ? ` (${peer.lastError})` : '';
    return `peer ${peer.member} ${state}, behind ${peer.behind}${error}`;
  }
  return `LOST ${event.lost ?? 0} events: this watcher was too slow`;
}
