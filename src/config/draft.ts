import type { Origin } from './problem.ts';
import type { Path } from './shape.ts';

export type Section = Record<string, unknown>;

/**
 * The configuration while it is put together: plain values in layers (file, environment, overrides),
 * and for each path the place that said it last, for the errors.
 */
export class Draft {
  /** Without a prototype: a key called __proto__ is an unknown key as any other. */
  readonly root: Section = Object.create(null) as Section;
  readonly #origins = new Map<string, Origin>();

  set(path: Path, value: unknown, origin: Origin): void {
    let section = this.root;
    for (const step of path.slice(0, -1)) {
      const inner = section[step];
      // Items of a list are reached by their numbers, as keys are by their names.
      if (isSection(inner) || Array.isArray(inner)) section = inner as Section;
      else section = section[step] = {};
    }
    section[path.at(-1) ?? ''] = value;
    this.#origins.set(path.join('.'), origin);
  }

  setOrigin(path: Path, origin: Origin): void {
    this.#origins.set(path.join('.'), origin);
  }

  get(path: Path): unknown {
    let value: unknown = this.root;
    for (const step of path) {
      if (Array.isArray(value) || isSection(value)) value = (value as Section)[step];
      else return undefined;
    }
    return value;
  }

  remove(path: Path): void {
    const section = this.get(path.slice(0, -1));
    if (isSection(section)) delete section[path.at(-1) ?? ''];
  }

  /** Of the path itself, else of the nearest section around it that somebody wrote. */
  originOf(path: Path): Origin {
    for (let length = path.length; length > 0; length--) {
      const origin = this.#origins.get(path.slice(0, length).join('.'));
      if (origin) return origin;
    }
    return { kind: 'default' };
  }
}

export function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
