import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { exit, stdout } from 'node:process';
import { Command, InvalidArgumentError } from 'commander';
import { addAdminCommands } from './admin/cli/commands.ts';
import { ConfigSource } from './config/config-source.ts';
import { formatConfigErrors, type Config } from './config/load.ts';
import type { Node } from './node.ts';
import { createLog, type Log } from './observability/log.ts';
import { systemRuntime } from './runtime/system.ts';

/** What a caller of the process can tell from its exit code. */
const EXIT_CODES = {
  stopped: 0,
  /** A defect: the log has the stack. */
  defect: 1,
  /** The arguments or the configuration are wrong. */
  usage: 2,
  /** The node cannot start (a port in use, a locked store, …); the log says why. */
  cannotStart: 3,
  /** Not everything had ended when the grace period was over. */
  stoppedLate: 4,
} as const;

const HELP = `
Exit codes: 0 stopped as asked, 1 a defect (the log has the stack), 2 wrong arguments or configuration,
3 the node cannot start, 4 stopped, but not everything ended in time, 130 and 143 a second signal.`;

const DEFAULT_FILE = 'cluster.yml';

interface StartOptions {
  readonly config?: string;
  readonly node?: number;
}

function createProgram(): Command {
  const program = new Command('holdfast')
    .description('A cluster of WebSocket nodes that never leaves a subscriber silently deaf')
    .version(readVersion())
    .addHelpText('after', HELP);
  program.exitOverride((error) => exit(error.exitCode === 0 ? 0 : EXIT_CODES.usage));
  const withConfig = (command: Command) =>
    command
      .option('-c, --config <file>', `configuration (default: ${DEFAULT_FILE}, if there is one)`)
      .option(
        '-n, --node <k>',
        'be node k of several on this machine: ports + 100 × (k − 1)',
        parseNode,
      );
  withConfig(program.command('start'))
    .description('run a node until SIGTERM or SIGINT')
    .action(async (options: StartOptions) => {
      const source = sourceOf(options);
      await start(readConfig(source), source);
    });
  withConfig(program.command('check-config'))
    .description('check the configuration and name all that is wrong with it')
    .option('--json', 'print the configuration with every default, secrets left out')
    .action((options: StartOptions & { json?: true }) => {
      const config = readConfig(sourceOf(options));
      if (options.json) print(JSON.stringify(withoutSecrets(config), undefined, 2));
      else print(`configuration: correct (${describe(config)})`);
    });
  addAdminCommands(program);
  return program;
}

/** Of package.json, which is beside src/ and beside dist/. */
function readVersion(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
}

function parseNode(text: string): number {
  const k = Number(text);
  if (!/^\d{1,2}$/.test(text) || k < 1 || k > 32) {
    throw new InvalidArgumentError('expected a number from 1 to 32');
  }
  return k;
}

function sourceOf({ config, node }: StartOptions): ConfigSource {
  const path = () => config ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
  return new ConfigSource(() => ({ path: path(), node }));
}

function readConfig(source: ConfigSource): Config {
  const loaded = source.read();
  if (loaded.ok) return loaded.config;
  process.stderr.write(`${formatConfigErrors(loaded.errors)}\n`);
  return exit(EXIT_CODES.usage);
}

/** Certificates and configuration are taken without a stop, each by itself; what is wrong changes nothing. */
function reload(log: Log, node: Node): void {
  const all = node.certificates.reload();
  const certificates = Object.fromEntries(all.map(({ surface, outcome }) => [surface, outcome]));
  log.info('SIGHUP: certificates were read again, the configuration follows', { certificates });
  void node.reloading.reloads.reload('signal');
}

async function start(config: Config, source: ConfigSource): Promise<void> {
  const pretty = config.log.pretty === 'always' || (config.log.pretty === 'auto' && stdout.isTTY);
  const log = createLog({ level: config.log.level, pretty });
  const crash = (error: unknown) => {
    log.error('stopped by a defect', { error });
    exit(EXIT_CODES.defect);
  };
  process.on('uncaughtException', crash).on('unhandledRejection', crash);
  // Loaded here, so that the other commands start without the node's rooms.
  const { createNode } = await import('./node.ts');
  const ports = { log, runtime: systemRuntime, source };
  const node = await createNode(config, ports).catch((error: unknown) => cannotStart(log, error));
  // The runtime's timers keep no process alive, and while the node starts or rebuilds nothing else does.
  setInterval(() => undefined, 2 ** 30);
  process.on('SIGHUP', () => reload(log, node));
  const stopping = stopOnSignals(log, config.node.shutdownGraceMs, (graceMs) => node.stop(graceMs));
  try {
    await node.start();
  } catch (error) {
    // A node that is told to stop while it starts may well fail to start.
    if (stopping.aborted) return;
    await node.stop(0).catch(() => undefined);
    cannotStart(log, error);
  }
  log.info(`open ${node.addresses.http}/ in a browser`, {
    node: config.node.id,
    cluster: config.cluster.id,
    membership: describe(config),
    data: config.node.dataDir,
    ...node.addresses,
  });
  if (config.gateway.auth === 'none') {
    log.info(
      'no authentication is configured: anyone on this machine may be any user, and others cannot connect',
    );
  }
  if (pretty && stdout.isTTY) print(welcome(config, node.addresses.http));
}

/** The last thing on the terminal of someone who has just started a node. */
function welcome(config: Config, httpAddress: string): string {
  return [
    '',
    `  Holdfast runs. Open this page in two tabs, as two users:  ${httpAddress}/`,
    `  ${config.node.id} (${describe(config)}); its store is ${config.node.dataDir}; Ctrl-C stops it`,
    '',
  ].join('\n');
}

/** An expected failure has a code and is told in one line; anything else shows where it comes from. */
function cannotStart(log: Log, error: unknown): never {
  const expected = error instanceof Error && 'code' in error && typeof error.code === 'string';
  if (expected)
    log.error(`cannot start: ${error.message}`, { code: error.code, cause: error.cause });
  else log.error('cannot start', { error });
  return exit(EXIT_CODES.cannotStart);
}

const LATE_MS = 2000;

/**
 * The first signal stops the node within its grace period, the second ends the process at once.
 * Aborted as soon as the first one has come.
 */
function stopOnSignals(
  log: Log,
  graceMs: number,
  stop: (graceMs: number) => Promise<void>,
): AbortSignal {
  const stopping = new AbortController();
  const onSignal = (signal: 'SIGTERM' | 'SIGINT') => {
    if (stopping.signal.aborted) return exit(128 + constants.signals[signal]);
    stopping.abort();
    log.info(`stopping: ${signal}`, { graceMs });
    systemRuntime.timers.after(graceMs + LATE_MS, () => {
      log.error('stopped, but not everything had ended in time', { graceMs });
      exit(EXIT_CODES.stoppedLate);
    });
    stop(graceMs).then(
      () => {
        log.info('stopped');
        exit(EXIT_CODES.stopped);
      },
      (error: unknown) => {
        log.error('could not stop in order', { error });
        exit(EXIT_CODES.defect);
      },
    );
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  return stopping.signal;
}

function describe(config: Config): string {
  if (config.membership.mode === 'etcd') {
    return `etcd at ${config.membership.etcd.endpoints.join(', ')}`;
  }
  return config.members.length > 1
    ? `static, ${config.members.length} members`
    : 'static, one node alone';
}

function withoutSecrets(config: Config): unknown {
  const shown = (secrets: readonly string[]) => `(${secrets.length} set)`;
  return {
    ...config,
    cluster: { ...config.cluster, secrets: shown(config.cluster.secrets) },
    http: { ...config.http, managerTokens: shown(config.http.managerTokens) },
    admin: { ...config.admin, tokens: shown(config.admin.tokens) },
    webhooks: {
      ...config.webhooks,
      secret: shown(config.webhooks.secret),
      endpoints: config.webhooks.endpoints.map((one) => ({ ...one, secret: shown(one.secret) })),
    },
  };
}

function print(text: string): void {
  stdout.write(`${text}\n`);
}

await createProgram().parseAsync();
