// Runs ava and counts, whatever happens to it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../build.js';

/** What test processes have for ending what they started. */
const GRACE_MS = 5_000;

/**
 * Runs ava and prints all that it says but for the tests that passed. Its reporter for people is read:
 * the one for machines ends with an exception at a timeout and at errors with a field that is undefined.
 * A crash, a deadline or an exit code without a failed test count as one failure.
 */
export async function runAva({ node = process.execPath, args = [], deadlineMs = 600_000 }) {
  const cli = join(ROOT, 'node_modules', 'ava', 'entrypoints', 'cli.mjs');
  const child = spawn(node, [cli, '--no-color', ...args], {
    cwd: ROOT,
    // The marks of results are other ones where the terminal is called so.
    env: { ...process.env, TERM: 'dumb' },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  let late = false;
  // The group, so that what the tests started goes too. First in order: a test process takes along the
  // nodes and browsers that it started, which lead groups of their own.
  const endAll = () => {
    signalGroup(child.pid, 'SIGTERM');
    setTimeout(() => signalGroup(child.pid, 'SIGKILL'), GRACE_MS).unref();
  };
  const deadline = setTimeout(() => {
    late = true;
    endAll();
  }, deadlineMs);
  process.once('SIGINT', endAll).once('SIGTERM', endAll);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const lines = createInterface({ input: child.stdout });
  lines.on('line', createReader(counts));
  // A process that a test left behind would hold the output open.
  child.once('exit', () => signalGroup(child.pid, 'SIGKILL'));
  const [[code, signal]] = await Promise.all([once(child, 'exit'), once(lines, 'close')]);
  clearTimeout(deadline);
  process.removeListener('SIGINT', endAll).removeListener('SIGTERM', endAll);
  if (late) fail(counts, `not done after ${deadlineMs / 1000} s`);
  else if (signal) fail(counts, `ava was ended by ${signal}`);
  else if (code !== 0 && counts.failed === 0) fail(counts, `ava ended with exit code ${code}`);
  else if (counts.passed + counts.failed + counts.skipped === 0) fail(counts, 'no test ran');
  return counts;
}

const PASSED = /^ {2}✔ /;
const FAILED = /^ {2}✘ \[fail\]: (.*)$/;
const SKIPPED = /^ {2}- \[skip\] (.*)$/;
const PROGRESS_EVERY = 100;

/** Reads lines of ava's report; prints what is not of a test that passed. */
function createReader(counts) {
  let passing = false;
  return (line) => {
    if (PASSED.test(line)) {
      passing = true;
      counts.passed++;
      if (counts.passed % PROGRESS_EVERY === 0)
        process.stdout.write(`… ${counts.passed} tests passed\n`);
      return;
    }
    // What a test that passed has logged stands below it, deeper.
    if (passing && line.startsWith('    ')) return;
    passing = false;
    const [, failed] = FAILED.exec(line) ?? [];
    const [, skipped] = SKIPPED.exec(line) ?? [];
    if (failed !== undefined) fail(counts, failed);
    else if (skipped !== undefined) {
      counts.skipped++;
      process.stdout.write(`skipped: ${skipped}\n`);
    } else if (line !== '') process.stdout.write(`${line}\n`);
  };
}

function fail(counts, what) {
  counts.failed++;
  process.stdout.write(`FAILED: ${what}\n`);
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // Already gone, as it should be.
  }
}

export function formatCounts({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
