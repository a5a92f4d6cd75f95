import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { toConfig, type Config } from './config.ts';
import { KEY, readDocument } from './document.ts';
import { Draft } from './draft.ts';
import { readEnvironment, type Environment } from './environment.ts';
import { checkLists } from './list-rules.ts';
import { configForNode } from './local-node.ts';
import { checkNodePorts } from './node-ports.ts';
import { nearest } from './nearest.ts';
import { describeFound, describeSecret, type ConfigProblem } from './problem.ts';
import { checkRules } from './rules.ts';
import { configSchema, type RawConfig } from './schema.ts';
import { readSecrets } from './secret.ts';
import { shapeAt, writableKeys, type Path } from './shape.ts';
import { checkTls } from './tls.ts';

export type { Config } from './config.ts';
export { formatConfigErrors, type ConfigProblem } from './problem.ts';

export interface LoadOptions {
  /** Absent: the embedded defaults of one lone node, and the environment. */
  readonly path?: string | undefined;
  /** `process.env` where absent. */
  readonly env?: Environment | undefined;
  /** Last layer, by dotted path as in the file: `{'listen.client.port': 0}`. */
  readonly overrides?: Readonly<Record<string, unknown>> | undefined;
  /** This is node k (from 1) of several on one machine: own id, own folder, ports 100 × (k − 1) higher. */
  readonly node?: number | undefined;
  /** What a file without any key means; defaults where absent. */
  readonly emptyFile?: 'defaults' | 'wrong' | undefined;
}

export type LoadedConfig =
  /** `hasContent`: there is a file, and it says something. */
  | { readonly ok: true; readonly config: Config; readonly hasContent: boolean }
  | { readonly ok: false; readonly errors: readonly ConfigProblem[] };

const FILE_BYTES_MAX = 1_048_576;

/**
 * File, then environment, then overrides; all errors at once. Relative paths (data, secrets) are
 * relative to the file's folder, or to the working directory without a file.
 */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  const draft = new Draft();
  const folder = options.path === undefined ? process.cwd() : dirname(resolve(options.path));
  const problems = options.path === undefined ? [] : readFile(options.path, draft);
  // A file that cannot be read as YAML says nothing that could be checked further.
  if (problems.length > 0) return { ok: false, errors: problems };
  const hasContent = Object.keys(draft.root).length > 0;
  if (options.path !== undefined && !hasContent && options.emptyFile === 'wrong') {
    return { ok: false, errors: [emptied(options.path)] };
  }
  problems.push(...readEnvironment(options.env ?? process.env, draft));
  for (const [path, value] of Object.entries(options.overrides ?? {})) {
    draft.set(path.split('.'), value, { kind: 'override' });
  }
  problems.push(...readSecrets(draft, (path) => readText(resolve(folder, path))));
  const k = options.node;
  if (k !== undefined) {
    const id = draft.get(['members', k - 1, 'id']) ?? `node-${k}`;
    draft.set(['node', 'id'], id, { kind: 'override' });
  }
  const checked = check(draft);
  problems.push(...checked.problems);
  if (checked.parsed) {
    const originOf = (path: Path) => draft.originOf(path);
    const checking = { folder, readText, nowMs: Date.now(), originOf };
    problems.push(...checkTls(checked.parsed, checking));
  }
  if (!checked.parsed || problems.length > 0) return { ok: false, errors: inFileOrder(problems) };
  const config = toConfig(checked.parsed, folder);
  if (k === undefined) return { ok: true, config, hasContent };
  const own = configForNode(config, k);
  const errors = checkNodePorts({ written: config, own, k }).map(({ path, ...what }) => ({
    ...{ path: path.join('.'), origin: draft.originOf(path), ...what },
  }));
  if (errors.length > 0) return { ok: false, errors: inFileOrder(errors) };
  return { ok: true, config: own, hasContent };
}

function emptied(file: string): ConfigProblem {
  return {
    path: '',
    origin: { kind: 'file', file, line: 1, column: 1 },
    found: 'a file without any key, which had some',
    allowed: 'sections with keys; with none at all the defaults hold, but only from a start',
  };
}

interface Checked {
  readonly parsed: RawConfig | undefined;
  readonly problems: readonly ConfigProblem[];
}

/**
 * Values first, then the rules between them. Values that are wrong are put aside for the rules, so that
 * one typing mistake does not hide what else is wrong.
 */
function check(draft: Draft): Checked {
  const first = configSchema.safeParse(draft.root);
  const issues = first.success ? [] : first.error.issues;
  const problems = issues.flatMap((issue) => explain(issue, draft));
  const inLists = checkLists(draft);
  for (const issue of issues) {
    const steps = issue.path.map(String);
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : [undefined];
    for (const key of keys) draft.remove(key === undefined ? outsideLists(steps) : [...steps, key]);
  }
  const parsed = first.success ? first.data : configSchema.safeParse(draft.root).data;
  const breaches = parsed ? checkRules(parsed) : [];
  const membersAside = issues.some((issue) => issue.path[0] === 'members');
  const sound = breaches.filter(
    ({ path }) => !membersAside || !/^(members|node)$/.test(`${path[0]}`),
  );
  // What is wrong in itself is not absent too.
  const told = new Set(problems.map(({ path }) => path));
  const more = [...inLists, ...sound]
    .map(({ path, found, allowed }) => ({
      ...{ path: path.join('.'), origin: draft.originOf(path), found, allowed },
    }))
    .filter(({ path }) => !told.has(path));
  return { parsed, problems: [...problems, ...more] };
}

/** A list with a wrong item is put aside as a whole. */
function outsideLists(path: readonly string[]): readonly string[] {
  const index = path.findIndex((step) => /^\d+$/.test(step));
  return index < 0 ? path : path.slice(0, index);
}

function readFile(path: string, draft: Draft): ConfigProblem[] {
  try {
    return readDocument({ file: path, text: readText(path) }, draft);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const origin = { kind: 'file', file: path, line: 1, column: 1 } as const;
    return [
      { path: '', origin, found: `a file that cannot be read (${code})`, allowed: 'a YAML file' },
    ];
  }
}

/** Of a small text file. Throws an Error with `code`: EFBIG above 1 MiB, else as node:fs does. */
export function readText(path: string): string {
  const { size } = statSync(path);
  if (size > FILE_BYTES_MAX) throw Object.assign(new Error('too large'), { code: 'EFBIG' });
  return readFileSync(path, 'utf8');
}

function explain(issue: z.core.$ZodIssue, draft: Draft): ConfigProblem[] {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => unknownKey([...path, key], draft));
  const value = draft.get(path);
  const found = shapeAt(path)?.kind === 'secret' ? describeSecret(value) : describeFound(value);
  return [{ path: path.join('.'), origin: draft.originOf(path), found, allowed: issue.message }];
}

function unknownKey(path: Path, draft: Draft): ConfigProblem {
  const known = writableKeys(shapeAt(path.slice(0, -1)));
  const near = nearest(String(path.at(-1)), known);
  return {
    path: path.join('.'),
    origin: draft.originOf([...path, KEY]),
    found: 'an unknown key',
    allowed: `${near === undefined ? '' : `did you mean ${near}? The keys here are `}${known.join(', ')}`,
  };
}

function inFileOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const place = ({ origin }: ConfigProblem) =>
    origin.kind === 'file' ? origin.line * 10_000 + origin.column : Number.MAX_SAFE_INTEGER;
  return problems.toSorted((a, b) => place(a) - place(b));
}
