import { spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import test from 'ava';
import {
  blank,
  importsOf,
  linesWith,
  ROOT,
  sourceFiles,
  topLevel,
  type Import,
} from './support/tree.ts';

/** The rules of the house: where things may stand, and who may know whom. */
const SOURCES = sourceFiles(['src'], ['.ts']);
const IMPORTS = SOURCES.flatMap(importsOf);
const ALL = sourceFiles(['src', 'test', 'scripts'], ['.ts', '.js']);

const TOP_LEVEL = new Set([
  ...['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'cluster.yml'],
  ...['README.md', 'LICENSE', 'proto', 'src', 'scripts', 'test', 'deploy', '.ci'],
  ...['.gitignore', '.gitattributes', '.oxlintrc.json', '.prettierrc.json', '.prettierignore'],
  ...['.npmrc', '.dockerignore', '.editorconfig'],
]);

const ROOMS = [
  ...[
    'admin',
    'api',
    'audit',
    'client',
    'cluster',
    'config',
    'connections',
    'core',
    'faults',
    'gateway',
  ],
  ...['messaging', 'observability', 'runtime', 'storage', 'webhooks'],
];

/** Files that one room shows to the others: ports, messages, errors. Anything else only as a type. */
const SHOWN = /(?:^|[-/])(?:port|ports|message|messages|error|errors)\.ts$/;

/** Where real time, chance and the environment come in. */
const IMPURE = [
  'src/runtime/',
  'src/config/load.ts',
  'src/main.ts',
  // Speaks to sockets, whose idle time is the network's and not the node's.
  'src/gateway/socket-server/ws.ts',
  // Runs where its user runs, in browsers too.
  'src/client/',
];

/** node/ is what the composition root is made of; it may name everything, as node.ts may. */
function roomOf(path: string): string {
  const [, room = '', rest] = path.split('/');
  return rest === undefined || room === 'node' ? 'root' : room;
}

function shown({ from, line, target }: Import): string {
  return `${from}:${line} → ${target}`;
}

test('the scanners see through comments, strings and the forms of an import', (t) => {
  const text = [
    "import { a, type B } from './b.ts';",
    "import { type C } from '../storage/c.ts';",
    'import type {',
    '  D,',
    "} from 'd';",
    "export { e } from './e.ts';",
    '// setTimeout(  "\'"',
    "const x = 'Math.random' + `Date.now ${Date.now()} '`;",
    "const y = /['\"]/.test('/*'); enum Z {}",
    "const z = await import('../f.ts');",
  ].join('\n');
  const file = { path: 'src/core/x.ts', text, code: blank(text) };
  t.deepEqual(
    importsOf(file).map((found) => `${shown(found)} ${found.typeOnly}`),
    [
      'src/core/x.ts:1 → src/core/b.ts false',
      'src/core/x.ts:2 → src/storage/c.ts true',
      'src/core/x.ts:3 → d true',
      'src/core/x.ts:6 → src/core/e.ts false',
      'src/core/x.ts:10 → src/f.ts false',
    ],
  );
  t.is(linesWith(file, /setTimeout|random/).length, 0);
  t.is(linesWith(file, /Date\.now\(/).length, 1);
  t.is(linesWith(file, /enum/).length, 1);
});

test('the top level holds what it should and nothing else', (t) => {
  t.deepEqual(
    topLevel().filter((name) => !TOP_LEVEL.has(name)),
    [],
  );
  const rooms = new Set(SOURCES.map(({ path }) => roomOf(path)));
  t.deepEqual(
    [...rooms].filter((room) => room !== 'root' && !ROOMS.includes(room)),
    [],
  );
});

test('the core imports nothing but itself and msgpackr', (t) => {
  const strangers = IMPORTS.filter(
    ({ from, target }) =>
      roomOf(from) === 'core' && !target.startsWith('src/core/') && target !== 'msgpackr',
  );
  t.deepEqual(strangers.map(shown), []);
});

test('the core knows no clock, no chance, no process and no log', (t) => {
  const impure =
    /\b(?:Date|process|console|performance|crypto|globalThis|setTimeout|setInterval|setImmediate|queueMicrotask)\b(?!\??:)|\bMath\.random\b/;
  const core = SOURCES.filter(({ path }) => roomOf(path) === 'core');
  t.deepEqual(
    core.flatMap((file) => linesWith(file, impure)),
    [],
  );
});

test('time, chance and the environment come in at the listed places only', (t) => {
  const impure =
    /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\.now\b|\bprocess\.env\b|(?<![.\w#])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\(/;
  const pure = SOURCES.filter(({ path }) => !IMPURE.some((place) => path.startsWith(place)));
  t.deepEqual(
    pure.flatMap((file) => linesWith(file, impure)),
    [],
  );
});

test('rooms know of each other ports and types only; adapters are named at the root', (t) => {
  const crossing = IMPORTS.filter(({ from, target }) => {
    const [own, other] = [roomOf(from), roomOf(target)];
    return own !== 'root' && own !== other && target.startsWith('src/') && other !== 'core';
  });
  // The client side of admin runs in the operator's process and not in a node.
  const operator = /^src\/admin\/(?:(?:bulk-)?client|cli\/[\w-]+)\.ts$/;
  const wrong = crossing.filter(
    ({ from, target, typeOnly }) =>
      !typeOnly &&
      !SHOWN.test(target) &&
      !(operator.test(from) && target === 'src/runtime/system.ts'),
  );
  t.deepEqual(wrong.map(shown), []);
});

test('nothing in a room knows the root, and the client knows only types of the core', (t) => {
  const upward = IMPORTS.filter(
    ({ from, target }) => roomOf(from) !== 'root' && /^src\/(?:node\/)?[^/]+\.ts$/.test(target),
  );
  t.deepEqual(upward.map(shown), []);
  const client = IMPORTS.filter(
    ({ from, target, typeOnly }) =>
      roomOf(from) === 'client' &&
      target.startsWith('src/') &&
      roomOf(target) !== 'client' &&
      !(roomOf(target) === 'core' && typeOnly),
  );
  t.deepEqual(client.map(shown), []);
});

test('src imports nothing from tests and scripts, and imports of files carry their ending', (t) => {
  const outside = IMPORTS.filter(({ target }) => /^(?:test|scripts|\.\.)\b/.test(target));
  t.deepEqual(outside.map(shown), []);
  const endless = IMPORTS.filter(
    ({ target }) => target.startsWith('src/') && !target.endsWith('.ts'),
  );
  t.deepEqual(endless.map(shown), []);
});

test('no file has a name that says nothing', (t) => {
  const nothing =
    /^(?:utils?|helpers?|manager|common|misc|index)\.|(?:[-.](?:utils?|helpers?|manager|common|misc))\./i;
  t.deepEqual(
    ALL.map(({ path }) => path).filter((path) => nothing.test(basename(path))),
    [],
  );
});

test('no default export, no barrel, no enum, no any', (t) => {
  const banned =
    /^\s*export\s+default\b|^\s*export\s+\*|^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?enum\s+\w|(?::|<|\bas|\|)\s*any\b(?!\s*\()/;
  t.deepEqual(
    ALL.flatMap((file) => linesWith(file, banned)),
    [],
  );
});

test('files have at most 400 lines, functions at most 70, and three parameters', (t) => {
  const oxlint = join(ROOT, 'node_modules', '.bin', 'oxlint');
  const run = spawnSync(oxlint, ['--format', 'json', 'src', 'scripts', 'test'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const report = JSON.parse(run.stdout) as {
    diagnostics: { code: string; filename: string; message: string }[];
    number_of_files: number;
  };
  t.true(report.number_of_files >= ALL.length, 'every file is looked at');
  const size = report.diagnostics.filter(({ code }) => /max-(?:lines|params)/.test(code));
  t.deepEqual(
    size.map(({ filename, message }) => `${filename}: ${message}`),
    [],
  );
});

test('nothing names a folder of one machine', (t) => {
  const machine = new RegExp(
    `['"\`](?:${['/home/', '/root/', '/work/', '/Users/', 'C:\\\\'].join('|')})`,
  );
  const texts = [...ALL, ...sourceFiles(['deploy', 'proto', '.ci'], [''])].filter(
    ({ path }) => path !== 'test/tree.test.ts',
  );
  const named = texts.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => (machine.test(line) ? [`${path}:${index + 1}`] : [])),
  );
  t.deepEqual(named, []);
});

test('what damages a node is called by fault injection alone', (t) => {
  const callers = SOURCES.filter(
    ({ path, text }) => /[.?]damage[A-Z]\w*\(/.test(text) && !path.startsWith('src/faults/'),
  );
  t.deepEqual(
    callers.map(({ path }) => path),
    [],
  );
});
