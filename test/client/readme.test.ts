import { execFile, spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { createWsServer } from '../../src/gateway/socket-server/ws.ts';
import { startRealNode } from '../audit/real-node.ts';
import { ROOT } from '../support/tree.ts';

const run = promisify(execFile);
const README = readFileSync(join(ROOT, 'src/client/README.md'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'holdfast-examples-'));
const installed = join(folder, 'node_modules', 'holdfast');

/** As an application has it: the package with what the build makes of the client, and no sources. */
test.before(() => {
  mkdirSync(installed, { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(installed, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules', 'ws'), join(folder, 'node_modules', 'ws'));
  const config = join(folder, 'client.json');
  const options = { noEmit: false, declaration: true, rootDir: join(ROOT, 'src'), types: [] };
  const compilerOptions = { ...options, outDir: join(installed, 'dist'), lib: ['es2023', 'dom'] };
  const base = { extends: join(ROOT, 'tsconfig.json'), compilerOptions };
  writeFileSync(
    config,
    JSON.stringify({ ...base, files: [join(ROOT, 'src/client/client.ts')], include: [] }),
  );
  const built = spawnSync(process.execPath, [tsc(), '-p', config], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stdout);
});

test.after.always(() => rmSync(folder, { recursive: true, force: true }));

function tsc(): string {
  return join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
}

const examples = [...README.matchAll(/```js\n(\/\/ example (\d): prints (.*)\n[^]*?)```/g)];

for (const [, code, number, prints] of examples) {
  test(`example ${number} of the client's page prints what it says`, async (t) => {
    const { url } = await startRealNode(t, createWsServer);
    const file = join(folder, `example-${number}.mjs`);
    writeFileSync(file, code!.replaceAll(/ws:\/\/127\.0\.0\.1:5[23]00/g, url));
    const { stdout } = await run(process.execPath, [file], { cwd: folder, timeout: 30_000 });
    const expected = [...prints!.matchAll(/`([^`]+)`/g)].map(([, line]) => line);
    t.deepEqual(stdout.trim().split('\n'), expected);
  });
}

test('the page has examples, and the package gives an application types and nothing else', async (t) => {
  t.is(examples.length, 3);
  const use = `import { HoldfastClient, type ReceivedMessage } from 'holdfast/client';
    const onMessage = (message: ReceivedMessage): number => message.messageSeq;
    export const client = new HoldfastClient({ addresses: ['ws://x'], uid: 'ann', onMessage });
    // @ts-expect-error there is no such option
    export const wrong = new HoldfastClient({ addresses: ['ws://x'], uid: 'ann', onMessage, who: 1 });`;
  writeFileSync(join(folder, 'use.mts'), use);
  const compilerOptions = { noEmit: true, strict: true, module: 'nodenext', target: 'es2022' };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...compilerOptions, types: [] }, files: ['use.mts'] }),
  );
  const checked = spawnSync(process.execPath, [tsc(), '-p', folder], { encoding: 'utf8' });
  t.is(checked.stdout, '');
  await t.throwsAsync(run(process.execPath, ['-e', `import('holdfast')`], { cwd: folder }));
});
