import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ROOT } from './support/tree.ts';
import { until } from './support/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-main-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

function holdfast(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'scripts/holdfast.js'), ...args],
    { cwd: ROOT, encoding: 'utf8', env: { PATH: process.env['PATH'] } },
  );
  return { status, stdout, stderr };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test('--version says which release it is and ends with 0', (t) => {
  const { status, stdout } = holdfast('--version');
  t.regex(stdout, /^\d+\.\d+\.\d+\n$/);
  t.is(status, 0);
});

test('check-config of a correct file says so and ends with 0', (t) => {
  const { status, stdout, stderr } = holdfast('check-config');
  t.is(stderr, '');
  t.is(stdout, 'configuration: correct (static, one node alone)\n');
  t.is(status, 0);
});

test('check-config names every error with its place and ends with 2', (t) => {
  const path = file('wrong.yml', 'gateway:\n  idle_second: 5\nlog: { level: loud }\n');
  const { status, stdout, stderr } = holdfast('check-config', '--config', path);
  t.is(status, 2);
  t.is(stdout, '');
  t.true(stderr.includes(`${path}:2:3: gateway.idle_second: found an unknown key`), stderr);
  t.regex(stderr, /did you mean idle_seconds\?/);
  t.true(stderr.includes(`${path}:3:15: log.level: found "loud"`), stderr);
});

test('check-config --json shows every default and no secret', (t) => {
  const path = file(
    'secret.yml',
    'cluster: { secret: hush-hush-hush }\nmembership: { mode: etcd }\n' +
      'webhooks: { secret: hush-for-all, endpoints: [' +
      '{ name: one, url: "http://127.0.0.1:9/", secret: hush-for-one }] }\n',
  );
  const { status, stdout } = holdfast('check-config', '--json', '-c', path, '--node', '2');
  t.is(status, 0);
  t.notRegex(stdout, /hush/);
  t.like(JSON.parse(stdout), {
    cluster: { id: 'holdfast', secrets: '(1 set)', slots: 32 },
    node: { id: 'node-2' },
    listen: { http: { port: 5101 } },
  });
});

test('wrong arguments end with 2, and start refuses a wrong configuration in the same way', (t) => {
  t.is(holdfast('check-config', '--node', '33').status, 2);
  t.is(holdfast('no-such-command').status, 2);
  const absent = holdfast('start', '--config', join(folder, 'absent.yml'));
  t.is(absent.status, 2);
  t.regex(absent.stderr, /a file that cannot be read \(ENOENT\)/);
  t.regex(holdfast('--help').stdout, /Exit codes: 0 stopped as asked/);
});

test('a node starts, refuses a second one on its folder with 3, and stops on SIGTERM with 0', async (t) => {
  const listeners = ['client', 'http', 'admin', 'peer'].map((name) => `  ${name}: { port: 0 }`);
  const path = file('node.yml', ['node: { data_dir: store }', 'listen:', ...listeners].join('\n'));
  const args = [join(ROOT, 'scripts/holdfast.js'), 'start', '--config', path];
  const node = spawn(process.execPath, args, { cwd: ROOT, env: { PATH: process.env['PATH'] } });
  t.teardown(() => node.kill('SIGKILL'));
  let output = '';
  node.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await until('the node is up', () => /open http:\/\/127\.0\.0\.1:\d+\//.test(output), 30_000);
  t.regex(output, /"membership":"static, one node alone"/);
  t.true(output.includes(`"data":"${join(folder, 'store')}"`));
  const second = holdfast('start', '--config', path);
  t.is(second.status, 3);
  t.regex(second.stdout, /cannot start: the store in .* is in use by another process/);
  t.notRegex(second.stdout, /\bat .*\.ts:\d+/);
  node.kill('SIGTERM');
  const [code] = (await once(node, 'exit')) as [number | null];
  t.is(code, 0);
  t.regex(output, /stopping: SIGTERM/);
});
