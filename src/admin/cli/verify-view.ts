import type { VerifyState, VerifyStep } from '../diagnosis-messages.ts';
import { ago } from './explain-view.ts';
import { formatTable, formatTime } from './output.ts';

const BAR_WIDTH = 30;
const WORDS: Readonly<Record<string, string>> = {
  ok: 'equal',
  different: 'DIFFERENT',
  unproven: 'not proved',
  running: 'running',
};

/** `12 of 14 steps [########      ] node-2 disk 340000 of 1000000`: for a terminal, redrawn in place. */
export function formatBar({ steps }: VerifyState): string {
  const ended = steps.filter(({ state }) => state !== 'running').length;
  const part = steps.reduce((sum, step) => sum + partOf(step), 0) / Math.max(1, steps.length);
  const filled = Math.round(part * BAR_WIDTH);
  const bar = '#'.repeat(filled) + ' '.repeat(BAR_WIDTH - filled);
  const running = steps.find(({ state }) => state === 'running');
  const now = running ? ` ${running.member} ${running.name}${countWords(running)}` : '';
  return `[${bar}] ${ended} of ${steps.length} steps${now}`.slice(0, 99);
}

function partOf({ state, done, total }: VerifyStep): number {
  if (state !== 'running') return 1;
  return total > 0 ? Math.min(1, done / total) : 0;
}

function countWords({ done, total }: VerifyStep): string {
  return total > 0 ? ` ${done} of ${total}` : done > 0 ? ` ${done}` : '';
}

/** One line for a step that has ended. */
export function formatStep({ member, name, state, detail }: VerifyStep): string {
  return `${member}  ${name}: ${WORDS[state] ?? state}${detail ? ` (${detail})` : ''}`;
}

export function formatLastTrue(lastTrueMs: number, nowMs: number): string {
  if (lastTrueMs === 0) return 'never proved before, as far as this node knows';
  return `last proved ${formatTime(lastTrueMs).slice(0, 19)} UTC, ${ago(nowMs - lastTrueMs)} ago`;
}

export function formatOutcome({ steps, proved }: VerifyState): string {
  const rows = steps.map(({ member, name, state, detail }) => [
    member,
    name,
    WORDS[state] ?? state,
    detail,
  ]);
  const bad = steps.filter(({ state }) => state === 'different').length;
  const open = steps.filter(({ state }) => state === 'unproven').length;
  const verdict = proved
    ? 'PROVED: all layers of all members agree'
    : bad > 0
      ? `DIFFERENT: ${bad} of ${steps.length} comparisons`
      : `NOT PROVED: ${open} of ${steps.length} comparisons could not be made`;
  return `${formatTable(['node', 'compared', 'result', 'detail'], rows)}\n${verdict}`;
}
