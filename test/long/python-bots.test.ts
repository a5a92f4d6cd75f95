import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import type { EasyClient } from '../support/clients/easy-client.ts';
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked, clientOf } from '../support/integration.ts';
import { freePort } from '../support/ports.ts';
import { until } from '../support/until.ts';

/** As they are on PyPI. */
const PACKAGES = [
  'aiocqhttp==1.4.4',
  'nonebot2[fastapi,websockets]==2.5.0',
  'nonebot-adapter-onebot==2.4.6',
];
const PATIENT_MS = 60_000;
const run = promisify(execFile);

class PythonBot {
  readonly uid: string;
  readonly mode: 'forward' | 'reverse';
  readonly port: number;
  readonly lines: string[] = [];
  readonly #process: ChildProcess;

  constructor(uid: string, mode: 'forward' | 'reverse', args: readonly [string, ...string[]]) {
    this.uid = uid;
    this.mode = mode;
    this.port = Number(args.at(-1));
    const [program, ...rest] = args;
    const path = fileURLToPath(new URL(`../support/bots/${program}`, import.meta.url));
    this.#process = spawn(python, [path, ...rest], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      stream.on('data', (chunk: Buffer) => this.lines.push(...chunk.toString().split('\n')));
    }
  }

  get target(): string {
    const { uid, port } = this;
    const place =
      this.mode === 'forward' ? { port } : { url: `ws://127.0.0.1:${port}${this.path}` };
    return JSON.stringify({ uid, accessToken: 'key', heartbeatMs: 2_000, ...place });
  }

  get path(): string {
    return this.uid === 'cq' ? '/ws/' : '/onebot/v11/ws';
  }

  count(line: string): number {
    return this.lines.filter((one) => one === line).length;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}

const folder = mkdtempSync(join(tmpdir(), 'holdfast-bots-'));
const python = join(folder, 'bin', 'python');
const bots: PythonBot[] = [];
let cluster: TestCluster;

test.before(async (t) => {
  t.timeout(300_000);
  await run('python3', ['-m', 'venv', folder]);
  await run(python, ['-m', 'pip', 'install', '--quiet', '--no-compile', ...PACKAGES]);
  const config = { connections: { takeover_seconds: 4 } };
  cluster = await startSharedCluster({ nodes: 3, etcd: false, config });
  await allLinked(cluster);
});
test.after.always(async () => {
  for (const bot of bots) bot.kill();
  await cluster?.end();
  rmSync(folder, { recursive: true, force: true });
});

/** Ann says it to every bot in private, and each answers. */
async function talk(ann: EasyClient, what: string): Promise<void> {
  for (const bot of bots) await say(ann, bot, what);
  for (const bot of bots) await answered(ann, bot, what);
}

function say(ann: EasyClient, bot: PythonBot, what: string) {
  return ann.send(bot.uid, 1, JSON.stringify({ type: 1, content: what }));
}

function answered(ann: EasyClient, bot: PythonBot, what: string) {
  const has = (text: string) =>
    ann.received.some(
      ({ fromUid, payload }) =>
        fromUid === bot.uid && Buffer.from(payload, 'base64').toString().includes(`"${text}"`),
    );
  return until(`${bot.uid} answers ${what}`, () => has(`echo ${what}`), PATIENT_MS);
}

const connected = (k: number) =>
  until(
    'all bridges are connected',
    async () => {
      const standings = bots.map(({ uid }) => cluster.admin(k).connection({ id: uid }));
      return (await Promise.all(standings)).every(
        ({ standing }) => standing?.state === 'CONNECTED',
      );
    },
    PATIENT_MS,
  );

test('unmodified aiocqhttp and nonebot2 hear, answer, recall, and live through disable, enable and kill -9', async (t) => {
  t.timeout(300_000);
  const ports = await Promise.all([freePort(), freePort(), freePort()]);
  bots.push(
    new PythonBot('cq', 'reverse', ['aiocqhttp_bot.py', String(ports[0])]),
    new PythonBot('nbr', 'reverse', ['nonebot_bot.py', 'reverse', String(ports[1])]),
    new PythonBot('nbf', 'forward', ['nonebot_bot.py', 'forward', String(ports[2])]),
  );
  for (const { uid: id, mode, target } of bots) {
    await cluster.admin(1).createConnection({ id, kind: `onebot-${mode}`, target });
  }
  await connected(1);
  const ann = await clientOf(t, cluster.addresses(2).client, 'ann');
  try {
    await talk(ann, 'hello');
    for (const bot of bots) await say(ann, bot, 'recall');
    const recalls = () => ann.events.filter(({ type }) => type === 'message.recalled').length;
    await until('all were recalled', () => recalls() === bots.length, PATIENT_MS);
    for (const bot of bots) {
      await until('the bot is told', () => bot.count('notice friend_recall') === 1, PATIENT_MS);
    }
    for (const { uid: id } of bots) {
      await cluster.admin(3).actOnConnection({ id, action: 'cancel' });
    }
    for (const bot of bots) await say(ann, bot, 'while disabled');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    t.true(bots.every((bot) => bot.count('heard while disabled') === 0));
    for (const { uid: id } of bots) await cluster.admin(3).actOnConnection({ id, action: 'start' });
    for (const bot of bots) await answered(ann, bot, 'while disabled');
    await connected(2);
    await talk(ann, 'again');
    // Each place is kept soon after what was read; the others have it with the next exchange.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await cluster.kill9(1);
    for (const bot of bots) await say(ann, bot, 'while dead');
    for (const bot of bots) await answered(ann, bot, 'while dead');
    await talk(ann, 'alive');
    // What a bot prints comes by another way than its answers.
    for (const what of ['hello', 'while disabled', 'again', 'while dead', 'alive']) {
      const counts = () => bots.map((bot) => bot.count(`heard ${what}`));
      await until(`all print ${what}`, () => counts().every((count) => count > 0), PATIENT_MS);
      t.deepEqual(counts(), [1, 1, 1], what);
    }
  } catch (error) {
    for (const bot of bots) t.log(bot.uid, bot.lines.slice(-30).join('\n'));
    throw error;
  }
});
