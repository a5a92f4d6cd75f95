import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout, read as text: what the rules of the tree look at. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const NOT_OURS = new Set(['node_modules', 'dist', 'data', '.git', '.cluster']);

export interface SourceFile {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** As `text`, where comments and the contents of strings are blanks: line numbers stay. */
  readonly code: string;
}

export interface Import {
  readonly line: number;
  readonly from: string;
  /** From the root for a file of the tree, else the name of the package. */
  readonly target: string;
  readonly typeOnly: boolean;
}

export function topLevel(): string[] {
  return readdirSync(ROOT).filter((name) => !NOT_OURS.has(name) && !/\.log$|^dist-/.test(name));
}

export function sourceFiles(folders: readonly string[], endings: readonly string[]): SourceFile[] {
  return folders.flatMap((folder) => walk(folder).filter(hasEnding(endings)).map(readSource));
}

function hasEnding(endings: readonly string[]) {
  return (path: string): boolean => endings.some((ending) => path.endsWith(ending));
}

function walk(folder: string): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (NOT_OURS.has(entry.name)) return [];
    return entry.isDirectory() ? walk(path) : [path];
  });
}

function readSource(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return { path, text, code: blank(text) };
}

/** Comments, strings, and templates but for what they compute; a slash after an operator opens a regex. */
const SKIPPED =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\$]|\$(?!\{))*`|(?<=[=(,:;!&|?{}[\n]\s*)\/(?![*/\s])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/g;

/** The text with comments and the contents of strings as blanks. */
export function blank(text: string): string {
  return text.replace(SKIPPED, (skipped) => skipped.replace(/[^\n]/g, ' '));
}

const STATEMENT =
  /^[ \t]*(?:import|export)\s+(?:(type)\s+)?([\w*{][^'";]*?)\s+from\s+'([^']+)'|^[ \t]*import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;

export function importsOf(file: SourceFile): Import[] {
  return [...file.text.matchAll(STATEMENT)].map((match) => {
    const [, type, names, from, bare, dynamic] = match;
    const specifier = from ?? bare ?? dynamic ?? '';
    return {
      line: lineOf(file.text, match.index),
      from: file.path,
      target: specifier.startsWith('.')
        ? posix.normalize(posix.join(posix.dirname(file.path), specifier))
        : specifier,
      typeOnly: type !== undefined || (names !== undefined && allTypes(names)),
    };
  });
}

/** `{ type A, type B }` takes types only, too. */
function allTypes(names: string): boolean {
  const listed = /^\{([^}]*)\}$/.exec(names.trim());
  if (!listed) return false;
  const each = (listed[1] ?? '').split(',').map((name) => name.trim());
  return each.filter((name) => name !== '').every((name) => name.startsWith('type '));
}

/** `path:line text` of every line of code on which `pattern` is found. */
export function linesWith(file: SourceFile, pattern: RegExp): string[] {
  return file.code.split('\n').flatMap((line, index) => {
    if (!pattern.test(line)) return [];
    const shown = file.text.split('\n')[index]?.trim() ?? '';
    return [`${file.path}:${index + 1} ${shown}`];
  });
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}
