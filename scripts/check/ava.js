// Runs ava and counts, whatever happens to it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../build.js';

/** What test processes have for ending what they started. */
const GRACE_MS = 5_000;

/**
 * Runs ava in its machine-readable form and prints failures as they come, with all that ava says of them.
 * A crash, a deadline or an exit code without a failed test count as one failure.
 */
export async function runAva({ node = process.execPath, args = [], deadlineMs = 600_000 }) {
  const cli = join(ROOT, 'node_modules', 'ava', 'entrypoints', 'cli.mjs');
  const child = spawn(node, [cli, '--tap', ...args], {
    cwd: ROOT,
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
  const reader = createReader(counts);
  const lines = createInterface({ input: child.stdout });
  lines.on('line', reader);
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

const RESULT = /^(not )?ok \d+(?: - (.*?))?(?: # (SKIP|TODO).*)?$/;
const PROGRESS_EVERY = 100;

/** Reads lines of TAP; prints what is not a test that passed. */
function createReader(counts) {
  let failing = false;
  return (line) => {
    const result = RESULT.exec(line);
    if (!result) {
      if (failing && /^#? {2}/.test(line)) process.stdout.write(`${line}\n`);
      return;
    }
    const [, not, title, directive] = result;
    failing = not !== undefined && directive === undefined;
    if (failing) fail(counts, title);
    else if (directive === undefined) counts.passed++;
    else {
      counts.skipped++;
      process.stdout.write(`skipped: ${title}\n`);
    }
    const done = counts.passed + counts.failed;
    if (directive === undefined && done % PROGRESS_EVERY === 0)
      process.stdout.write(`… ${done} tests\n`);
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
