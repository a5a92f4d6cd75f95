/** Where a value of the configuration came from. */
export type Origin =
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'override' }
  | { readonly kind: 'default' };

/** One thing wrong with the configuration: where, what was found, what is allowed. */
export interface ConfigProblem {
  /** As `gateway.idle_seconds`; empty for the whole file. */
  readonly path: string;
  readonly origin: Origin;
  readonly found: string;
  readonly allowed: string;
}

/** Every problem on its own lines, as an editor or a terminal can follow them. */
export function formatConfigErrors(problems: readonly ConfigProblem[]): string {
  const count = problems.length === 1 ? '1 error' : `${problems.length} errors`;
  const lines = problems.map((problem) => {
    const path = problem.path === '' ? '' : ` ${problem.path}:`;
    return `  ${formatOrigin(problem.origin)}:${path} found ${problem.found}\n      allowed: ${problem.allowed}`;
  });
  return [`configuration: ${count}`, ...lines].join('\n');
}

function formatOrigin(origin: Origin): string {
  switch (origin.kind) {
    case 'file':
      return `${origin.file}:${origin.line}:${origin.column}`;
    case 'environment':
      return `environment ${origin.variable}`;
    case 'override':
      return 'command line';
    case 'default':
      return 'default';
  }
}

const SHOWN_CHARACTERS_MAX = 80;

/** A value as an error shows it: short, on one line. */
export function describeFound(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value))
    return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'a section';
  const shown = JSON.stringify(value) ?? typeof value;
  return shown.length <= SHOWN_CHARACTERS_MAX ? shown : `${shown.slice(0, SHOWN_CHARACTERS_MAX)}…`;
}

/** As `describeFound`, for what must not be shown. */
export function describeSecret(value: unknown): string {
  if (typeof value === 'string') return `a string of ${value.length} characters (not shown)`;
  return Array.isArray(value) ? describeFound(value) : `a ${typeof value} (not shown)`;
}
