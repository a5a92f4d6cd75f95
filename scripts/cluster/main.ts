import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../../src/config/load.ts';
import { askControl, serveControl } from './control.ts';
import { createEtcd, ETCD_MISSING, ETCD_PORT, ETCD_PORTS, findEtcd } from './etcd.ts';
import { ACTIONS, LocalCluster, type Action } from './local-cluster.ts';
import type { NodeProcess } from './node-process.ts';
import { planNodes, ROOT } from './plan.ts';
import { assertPortsFree } from './ports.ts';

interface RunFlags {
  readonly nodes: number;
  readonly config: string;
  readonly etcd?: true;
  readonly static?: true;
  readonly data: string;
}

const READY_TIMEOUT_MS = 60_000;
const GRACE_MS = 15_000;
const HELP = `
While it runs, from another terminal in the same folder:
  npm run cluster -- kill 2      kill -9 node 2
  npm run cluster -- start 2     start it again
  npm run cluster -- pause 2     it keeps its connections and answers nothing (SIGSTOP)
  npm run cluster -- resume 2
  npm run cluster -- wipe 2      kill -9, delete its store, start it again
  npm run cluster -- status`;

const program = new Command('cluster')
  .description('N nodes and etcd on this machine, from one cluster.yml; Ctrl-C stops all of them')
  .argument('[action]', ACTIONS.join(', '))
  .argument('[k]', 'which node, from 1', wholeNumber)
  .option('-n, --nodes <n>', 'how many', wholeNumber, 3)
  .option('-c, --config <file>', 'configuration of every node', defaultConfig())
  .option('--etcd', 'members find each other through etcd (the default)')
  .option('--static', 'without etcd: a fixed list of members')
  .option('--data <dir>', 'stores, logs and the control socket', '.cluster')
  .addHelpText('after', HELP)
  .action((action: string | undefined, k: number | undefined) =>
    action === undefined ? run(program.opts<RunFlags>()) : control(action, k),
  );

/** The one of this folder; the project's own where there is none. */
function defaultConfig(): string {
  return existsSync('cluster.yml') ? 'cluster.yml' : join(ROOT, 'cluster.yml');
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d{1,2}$/.test(text) && value >= 1 && value <= 32) return value;
  throw new InvalidArgumentError('expected a number from 1 to 32');
}

async function control(action: string, k: number | undefined): Promise<void> {
  if (!isAction(action)) fail(`unknown action "${action}", expected ${ACTIONS.join(', ')}`, 2);
  const dataDir = resolve(program.opts<RunFlags>().data);
  const reply = await askControl(dataDir, { action, k }).catch(() =>
    fail(`no cluster runs on ${dataDir}`, 3),
  );
  if (!reply.ok) fail(reply.error, 1);
  say(reply.text);
}

function isAction(text: string): text is Action {
  return (ACTIONS as readonly string[]).includes(text);
}

async function run(flags: RunFlags): Promise<void> {
  const dataDir = resolve(flags.data);
  if (!existsSync(flags.config)) fail(`there is no ${flags.config}`, 2);
  if (flags.etcd && flags.static) fail('give --etcd or --static, not both', 2);
  await buildWhatIsMissing();
  mkdirSync(dataDir, { recursive: true });
  const etcd = flags.static || hasMembers(flags.config) ? undefined : prepareEtcd(dataDir);
  const nodes = planNodes({
    nodes: flags.nodes,
    config: resolve(flags.config),
    dataDir,
    etcdEndpoint: etcd ? `http://127.0.0.1:${ETCD_PORT}` : undefined,
  });
  await assertPortsFree([...nodes.flatMap(({ ports }) => ports), ...(etcd ? ETCD_PORTS : [])]);
  const cluster = new LocalCluster({
    nodes,
    etcd,
    onLine: printLine,
    readyTimeoutMs: READY_TIMEOUT_MS,
    graceMs: GRACE_MS,
  });
  const server = await serveControl(dataDir, ({ action, k }) => {
    if (!isAction(action)) throw new Error(`unknown action "${action}"`);
    return cluster.act(action, k);
  });
  let stopped = false;
  const stop = async (exitCode: number): Promise<void> => {
    // A second Ctrl-C ends at once; what this process started goes with it.
    if (stopped) process.exit(130);
    stopped = true;
    say('stopping …');
    server.close();
    await cluster.stop();
    process.exit(exitCode);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => void stop(0));
  }
  try {
    await cluster.start();
  } catch (error) {
    if (stopped) return;
    process.stderr.write(`cluster: ${(error as Error).message}\n`);
    return stop(1);
  }
  say(`\n${cluster.table()}\n${hints(flags, nodes[0]!.member.adminAddress)}\n`);
}

function hints({ data }: RunFlags, adminAddress: string): string {
  return [
    `Open two of the pages as two users. Logs: ${data}/<node>/log. Ctrl-C stops all.`,
    'From another terminal: npm run cluster -- kill 2 (start, pause, resume, wipe, status)',
    `                       npx holdfast members --address ${adminAddress}`,
  ].join('\n');
}

/** A list of members in the file is a cluster without etcd. */
function hasMembers(path: string): boolean {
  const loaded = loadConfig({ path, node: 1 });
  return loaded.ok && loaded.config.members.length > 0;
}

/** Compiled nodes start in a second; three that compile themselves at the same time do not. */
async function buildWhatIsMissing(): Promise<void> {
  const path = new URL('../build.js', import.meta.url).href;
  const { build, isBuilt } = (await import(path)) as Readonly<Record<string, () => boolean>>;
  if (isBuilt!()) return;
  say('building …');
  if (!build!()) process.exit(1);
}

/** What etcd says goes to its log alone; its last lines are shown where it does not start. */
function prepareEtcd(dataDir: string): NodeProcess {
  const path = findEtcd();
  if (path === undefined) fail(ETCD_MISSING, 1);
  return createEtcd(path, dataDir, (line) => {
    if (line.startsWith('ended:')) printLine('etcd', line);
  });
}

/** Colours by name, so that the eye can follow one node. */
const COLOURS = [36, 33, 35, 32, 34, 31];
const seen: string[] = [];

function printLine(name: string, line: string): void {
  if (!seen.includes(name)) seen.push(name);
  const colour = COLOURS[seen.indexOf(name) % COLOURS.length]!;
  const prefix = name.padEnd(8);
  say(process.stdout.isTTY ? `\u001b[${colour}m${prefix}\u001b[0m ${line}` : `${prefix} ${line}`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(message: string, code: number): never {
  process.stderr.write(`cluster: ${message}\n`);
  process.exit(code);
}

await program.parseAsync().catch((error: unknown) => fail((error as Error).message, 1));
