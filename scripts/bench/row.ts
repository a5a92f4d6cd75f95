/** One line of the report. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What issue or design asks for; the sign says on which side of it the value has to be. */
  readonly target?: { readonly value: number; readonly sense: 'at least' | 'at most' } | undefined;
  readonly note?: string | undefined;
}

export function formatTable(rows: readonly Row[]): string {
  const lines = rows.map(({ name, value, unit, target, note }) => {
    const met = !target
      ? ''
      : (target.sense === 'at least' ? value >= target.value : value <= target.value)
        ? 'met'
        : 'missed';
    const wanted = target ? `${target.sense} ${format(target.value)}` : '';
    return [name, format(value), unit, wanted, met, note ?? ''];
  });
  const head = ['figure', 'measured', 'unit', 'target', '', 'note'];
  const body = [head, head.map(() => '---'), ...lines];
  return body.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function format(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  return value >= 10 ? value.toFixed(1) : value.toFixed(3);
}
