// Builds dist/ from src/ where it is missing or older than what it is made of.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SOURCES = ['src', 'tsconfig.json', 'tsconfig.build.json', 'package.json'];
const ENTRY = join(ROOT, 'dist', 'main.js');

/** An installed package has no sources, so its dist is never stale. */
export function isBuilt() {
  if (!existsSync(ENTRY)) return false;
  if (!existsSync(join(ROOT, 'src'))) return true;
  const builtMs = statSync(ENTRY).mtimeMs;
  return SOURCES.every((name) => newestMs(join(ROOT, name)) <= builtMs);
}

/** Compiles beside dist/ and swaps at the end: a build that fails leaves what was there before. */
export function build() {
  const compiler = findCompiler();
  if (!compiler) {
    process.stderr.write('dependencies are missing: run `npm ci` first\n');
    return false;
  }
  const fresh = join(ROOT, 'node_modules', `.holdfast-build-${process.pid}`);
  const done = spawnSync(
    process.execPath,
    [compiler, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', fresh],
    { cwd: ROOT, stdio: ['ignore', 2, 2] },
  );
  if (done.status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    process.stderr.write('the build failed\n');
    return false;
  }
  // Pages and other files that are not compiled stand beside the code that serves them.
  cpSync(join(ROOT, 'src'), fresh, {
    recursive: true,
    filter: (path) => statSync(path).isDirectory() || extname(path) !== '.ts',
  });
  rmSync(join(ROOT, 'dist'), { recursive: true, force: true });
  renameSync(fresh, join(ROOT, 'dist'));
  return true;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = build() ? 0 : 1;

function findCompiler() {
  try {
    const manifest = createRequire(import.meta.url).resolve('typescript/package.json');
    return join(manifest, '..', 'bin', 'tsc');
  } catch {
    return undefined;
  }
}

function newestMs(path) {
  if (!existsSync(path)) return 0;
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  return readdirSync(path).reduce((ms, name) => Math.max(ms, newestMs(join(path, name))), mtimeMs);
}
