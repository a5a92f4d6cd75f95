import type { World } from '../world/world.ts';

/** Numbers of design.md section 9; 0 for what breaks no invariant and must not happen all the same. */
export type Invariant = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14;

export interface Finding {
  readonly invariant: Invariant;
  readonly atMs: number;
  readonly text: string;
}

const FINDINGS_MAX = 50;

/**
 * What was seen to be wrong. It is noted and not thrown, because what is thrown inside the code under
 * test may be caught there.
 */
export class Findings {
  readonly #world: World;
  readonly #list: Finding[] = [];
  readonly #texts = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  get list(): readonly Finding[] {
    return this.#list;
  }

  report(invariant: Invariant, text: string): void {
    if (this.#list.length >= FINDINGS_MAX || this.#texts.has(text)) return;
    this.#texts.add(text);
    this.#list.push({ invariant, atMs: this.#world.nowMs, text });
    this.#world.note('FINDING', () => `invariant ${invariant}: ${text}`);
  }
}
