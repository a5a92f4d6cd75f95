import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node } from 'yaml';
import type { Draft } from './draft.ts';
import type { ConfigProblem, Origin } from './problem.ts';
import type { Path } from './shape.ts';

export interface ConfigText {
  /** As errors name it. */
  readonly file: string;
  readonly text: string;
}

/** Reads YAML into the draft, with line and column of every key and value. Returns what is wrong. */
export function readDocument(source: ConfigText, draft: Draft): ConfigProblem[] {
  const lines = new LineCounter();
  const document = parseDocument(source.text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): Origin => {
    const position = lines.linePos(offset);
    return { kind: 'file', file: source.file, line: position.line, column: position.col };
  };
  if (document.errors.length > 0) {
    return document.errors.map((error) => ({
      path: '',
      origin: at(error.pos[0]),
      found: `text that is not YAML (${error.message})`,
      allowed: 'YAML 1.2 without duplicate keys',
    }));
  }
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) return [];
  if (!isMap(root)) {
    const origin = at(root.range?.[0] ?? 0);
    return [
      { path: '', origin, found: 'no sections', allowed: 'sections with keys, as cluster.yml' },
    ];
  }
  const reader = new Reader(draft, at);
  reader.readSection([], root);
  return reader.problems;
}

/** Depth of the deepest key there is, and room for a mistake. */
const DEPTH_MAX = 8;

class Reader {
  readonly problems: ConfigProblem[] = [];
  readonly #draft: Draft;
  readonly #at: (offset: number) => Origin;

  constructor(draft: Draft, at: (offset: number) => Origin) {
    this.#draft = draft;
    this.#at = at;
  }

  readSection(path: Path, node: Node): unknown {
    if (!isMap(node)) return this.#read(path, node);
    const section: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const pair of node.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : '';
      const inner = [...path, key];
      const keyOffset = (pair.key as Node | null)?.range?.[0] ?? 0;
      const value = pair.value as Node | null;
      this.#draft.setOrigin(inner, this.#at(value?.range?.[0] ?? keyOffset));
      // The place of the key itself: an unknown key is shown there and not at its value.
      this.#draft.setOrigin([...inner, KEY], this.#at(keyOffset));
      const read = value === null ? undefined : this.#read(inner, value);
      // A key without a value is a section whose lines are all comments, or a value left at its default.
      if (read !== undefined) section[key] = read;
    }
    if (path.length === 0) Object.assign(this.#draft.root, section);
    return section;
  }

  #read(path: Path, node: Node): unknown {
    if (path.length > DEPTH_MAX || isAlias(node)) {
      const found = isAlias(node) ? 'a YAML alias' : 'sections nested too deep';
      const origin = this.#at(node.range?.[0] ?? 0);
      this.problems.push({ path: path.join('.'), origin, found, allowed: 'plain keys and values' });
      return undefined;
    }
    if (isMap(node)) return this.readSection(path, node);
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        const inner = [...path, index];
        this.#draft.setOrigin(inner, this.#at((item as Node | null)?.range?.[0] ?? 0));
        return this.#read(inner, item as Node);
      });
    }
    return isScalar(node) ? (node.value ?? undefined) : undefined;
  }
}

/** The last step of the path under which the place of a key is kept. No key contains it. */
export const KEY = '\0key';
