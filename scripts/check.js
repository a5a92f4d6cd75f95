// `npm run check`: format, lint, types, unit tests with the rules of the tree, a short simulation.
//   --static   only what does not run the code: format, lint, types
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './build.js';

const bin = (name) => join(ROOT, 'node_modules', '.bin', name);

const UNIT_TESTS = [
  'test/**/*.test.ts',
  '!test/integration/**',
  '!test/long/**',
  '!test/contract/**',
];

const steps = [
  { name: 'format', command: [bin('prettier'), '--check', '**/*.{ts,js,json,yml}'] },
  {
    name: 'lint',
    command: [bin('oxlint'), '--type-aware', '--deny-warnings', 'src', 'test', 'scripts'],
  },
  { name: 'types', command: [bin('tsc'), '-p', 'tsconfig.json', '--noEmit'] },
];

if (!process.argv.includes('--static')) {
  steps.push({
    name: 'unit tests and the rules of the tree',
    command: [process.execPath, 'scripts/test.js', ...UNIT_TESTS],
  });
  if (existsSync(join(ROOT, 'scripts/simulate/main.ts'))) {
    steps.push({
      name: 'simulation',
      command: [process.execPath, '--import=tsx', 'scripts/simulate/main.ts', '--check'],
    });
  }
}

const failed = steps.filter(({ name, command: [program, ...args] }) => {
  process.stdout.write(`— ${name}\n`);
  return spawnSync(program, args, { cwd: ROOT, stdio: 'inherit' }).status !== 0;
});
const names = failed.map(({ name }) => name).join(', ');
process.stdout.write(failed.length === 0 ? 'all checks passed\n' : `failed: ${names}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
