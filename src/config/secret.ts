import type { Draft } from './draft.ts';
import { describeFound, type ConfigProblem } from './problem.ts';
import { leafPaths, shapeAt, type Path, type Shape } from './shape.ts';

/** Reads a small text file; throws an Error with `code` as node:fs does. */
export type ReadText = (path: string) => string;

const ALLOWED = 'the path of a readable file with one secret a line, at most two lines';

/**
 * Makes a list of every secret and replaces each `x_file` by what its file says. Of several places the
 * last layer wins (file, then environment); both forms in one layer contradict each other.
 */
export function readSecrets(draft: Draft, readText: ReadText): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const path of secretPaths(draft)) {
    const filePath: Path = [...path.slice(0, -1), `${path.at(-1)}_file`];
    const inline = draft.get(path);
    const file = draft.get(filePath);
    if (typeof inline === 'string') draft.set(path, [inline], draft.originOf(path));
    if (file === undefined) continue;
    const origin = draft.originOf(filePath);
    draft.remove(filePath);
    if (inline !== undefined && isBelow(draft.originOf(path).kind, origin.kind)) {
      if (draft.originOf(path).kind !== origin.kind) continue;
      const allowed = `either ${path.join('.')} or ${filePath.join('.')}`;
      problems.push({ path: filePath.join('.'), origin, found: 'both', allowed });
      continue;
    }
    const secrets = readSecretFile(file, readText);
    if (secrets.ok) draft.set(path, secrets.lines, origin);
    else
      problems.push({ path: filePath.join('.'), origin, found: secrets.found, allowed: ALLOWED });
  }
  return problems;
}

/** Those of the schema, and those in each item of the lists that somebody wrote. */
function secretPaths(draft: Draft): readonly Path[] {
  return leafPaths().flatMap((leaf): Path[] => {
    const shape: Shape | undefined = shapeAt(leaf);
    if (shape?.kind === 'secret') return [leaf];
    const items = draft.get(leaf);
    if (shape?.kind !== 'list' || shape.item.kind !== 'section' || !Array.isArray(items)) return [];
    const keys = [...shape.item.keys].filter(([, inner]) => inner.kind === 'secret');
    return items.flatMap((_, index) => keys.map(([key]): Path => [...leaf, index, key]));
  });
}

function isBelow(inline: string, file: string): boolean {
  return inline === file || inline === 'environment';
}

type SecretLines =
  | { readonly ok: true; readonly lines: readonly string[] }
  | { readonly ok: false; readonly found: string };

function readSecretFile(file: unknown, readText: ReadText): SecretLines {
  if (typeof file !== 'string') return { ok: false, found: describeFound(file) };
  try {
    const lines = readText(file)
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== '');
    if (lines.length === 0) return { ok: false, found: `${describeFound(file)}, which is empty` };
    return { ok: true, lines };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return { ok: false, found: `${describeFound(file)} (${code})` };
  }
}
