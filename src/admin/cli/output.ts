import { once } from 'node:events';

export type Cell = string | number | boolean;

/** Prints one line; waits while the reader of a pipe is slower than we are. */
export async function printLine(line: string): Promise<void> {
  if (!process.stdout.write(line + '\n')) await once(process.stdout, 'drain');
}

export function printJson(value: unknown): Promise<void> {
  return printLine(JSON.stringify(value));
}

/** Columns aligned to their widest cell, two spaces apart; numbers to the right. */
export function formatTable(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cells = rows.map((row) => row.map(formatCell));
  const widths = head.map((title, i) =>
    Math.max(title.length, ...cells.map((row) => row[i]!.length)),
  );
  const lines = [head, ...cells].map((row, at) =>
    row
      .map((text, i) => {
        const isNumber = at > 0 && typeof rows[at - 1]![i] === 'number';
        return isNumber ? text.padStart(widths[i]!) : text.padEnd(widths[i]!);
      })
      .join('  ')
      .trimEnd(),
  );
  return lines.join('\n');
}

function formatCell(value: Cell): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return printable(value === '' ? '-' : String(value));
}

/** Ids and device names come from clients: nothing they hold may steer the operator's terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

export function formatTime(ms: number): string {
  return ms > 0 ? new Date(ms).toISOString().replace('T', ' ').replace('Z', '') : '-';
}
