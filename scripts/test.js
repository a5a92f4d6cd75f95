// `npm test`: the whole suite but for test/long, or the files given. The last line says
// `N passed, N failed`.
//   --node <binary>   another Node to run the tests on
//   --minutes <n>     the deadline, 10 by default
import { readdirSync } from 'node:fs';
import { join, sep } from 'node:path';
import { parseArgs } from 'node:util';
import { build, isBuilt, ROOT } from './build.js';
import { formatCounts, runAva } from './check/ava.js';
import { missingTools } from './check/tools.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { node: { type: 'string' }, minutes: { type: 'string', default: '10' } },
});

// The nodes that the tests start are then the compiled ones, which are up sooner. Those of a build that
// fails run from the sources, and say what is wrong.
if (positionals.length === 0 && !isBuilt()) build();
const missing = missingTools();
for (const tool of missing) {
  process.stdout.write(`skipped: ${tool.name} is not installed (${tool.for})\n`);
}
const counts = await runAva({
  node: values.node,
  args: positionals.length > 0 ? positionals : usualFiles(),
  deadlineMs: Number(values.minutes) * 60_000,
});
counts.skipped += missing.length;
process.stdout.write(`${formatCounts(counts)}\n`);
process.exitCode = counts.failed > 0 ? 1 : 0;

/** Those in test/long kill and restart real processes for minutes: `npm run test-long`. */
function usualFiles() {
  return readdirSync(join(ROOT, 'test'), { recursive: true })
    .map((name) => `test/${name.split(sep).join('/')}`)
    .filter((path) => path.endsWith('.test.ts') && !path.startsWith('test/long/'));
}
