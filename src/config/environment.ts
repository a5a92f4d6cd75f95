import { parse } from 'yaml';
import type { Draft } from './draft.ts';
import { nearest } from './nearest.ts';
import { describeFound, type ConfigProblem } from './problem.ts';
import { configShape, leafPaths, shapeAt, type Path } from './shape.ts';

const PREFIX = 'HOLDFAST_';

/** What Kubernetes adds by itself for a service called holdfast-…: nobody's typing mistake. */
const SERVICE_LINK = /_(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT(?:_\d+_.*)?)$/;

export type Environment = Readonly<Record<string, string | undefined>>;

/** HOLDFAST_GATEWAY_IDLE_SECONDS for gateway.idle_seconds. */
export function variableOf(path: Path): string {
  return PREFIX + path.join('_').toUpperCase();
}

/**
 * Lays the environment over the draft. Lists are separated by commas, `members` is a YAML list; an empty
 * variable counts as unset. A variable that begins like one of ours and names nothing is a problem.
 */
export function readEnvironment(environment: Environment, draft: Draft): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const paths = knownVariables();
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith(PREFIX) || value === undefined || value === '') continue;
    const path = paths.get(variable);
    if (path) draft.set(path, parseValue(path, value), { kind: 'environment', variable });
    else if (looksLikeOurs(variable)) problems.push(unknownVariable(variable, [...paths.keys()]));
  }
  return problems;
}

function knownVariables(): Map<string, Path> {
  const known = new Map<string, Path>();
  for (const path of leafPaths()) {
    known.set(variableOf(path), path);
    if (shapeAt(path)?.kind !== 'secret') continue;
    const file = [...path.slice(0, -1), `${path.at(-1)}_file`];
    known.set(variableOf(file), file);
  }
  return known;
}

function parseValue(path: Path, value: string): unknown {
  const shape = shapeAt(path);
  switch (shape?.kind) {
    case 'number':
      return /^-?\d{1,15}(?:\.\d+)?$/.test(value) ? Number(value) : value;
    case 'flag':
      return value === 'true' ? true : value === 'false' ? false : value;
    case 'secret':
      return value.split(',');
    case 'list':
      return shape.item.kind === 'section'
        ? parseYaml(value)
        : value.split(',').map((s) => s.trim());
    case 'section':
    case 'text':
    case undefined:
      return value;
  }
}

function parseYaml(value: string): unknown {
  try {
    return parse(value, { maxAliasCount: 0 }) as unknown;
  } catch {
    return value;
  }
}

function looksLikeOurs(variable: string): boolean {
  if (configShape.kind !== 'section' || SERVICE_LINK.test(variable)) return false;
  const rest = variable.slice(PREFIX.length).toLowerCase();
  return [...configShape.keys.keys()].some((name) => rest.startsWith(`${name}_`));
}

function unknownVariable(variable: string, known: readonly string[]): ConfigProblem {
  const lower = known.map((name) => name.toLowerCase());
  const near = nearest(variable.toLowerCase(), lower)?.toUpperCase();
  return {
    path: '',
    origin: { kind: 'environment', variable },
    found: `a variable that no key has (${describeFound(variable)})`,
    allowed: near === undefined ? `${PREFIX}<SECTION>_<KEY>` : `did you mean ${near}?`,
  };
}
