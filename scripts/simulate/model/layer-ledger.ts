import type { Findings } from './findings.ts';
import type { World } from '../world/world.ts';

/** Where something was damaged: a line of design.md section 7. */
export type DamagedLayer = 'index' | 'sockets' | 'interest' | 'delta' | 'disk';

/**
 * - damaged: it is so, and nothing stands in the way of its repair. healed: not any more.
 * - held: it is so while a node is down, a disk fails or a path is cut: the bound begins again after.
 * - void: nobody is owed the repair any more, because what was damaged is gone.
 */
export type DamageState = 'damaged' | 'healed' | 'held' | 'void';

export interface LayerDamage {
  readonly layer: DamagedLayer;
  /** For people. */
  readonly what: string;
  /** From the damage, or from when it can be repaired, to the repair. Virtual ms. */
  readonly boundMs: number;
  readonly state: () => DamageState;
}

interface Entered extends LayerDamage {
  /** Since when nothing has stood in the way. */
  sinceMs: number;
}

const POLL_MS = 100;

/**
 * Holds each layer to its time from damage to repair, in virtual time. It only looks, past everything
 * that would repair what it reads.
 */
export class LayerLedger {
  readonly #world: World;
  readonly #findings: Findings;
  readonly #slowestMs = new Map<DamagedLayer, number>();
  #entries: Entered[] = [];
  #healed = 0;

  constructor(world: World, findings: Findings) {
    this.#world = world;
    this.#findings = findings;
  }

  get healed(): number {
    return this.#healed;
  }

  /** Of each layer, the longest that a repair has taken so far. Virtual ms. */
  get slowestMs(): ReadonlyMap<DamagedLayer, number> {
    return this.#slowestMs;
  }

  isOpen(): boolean {
    return this.#entries.length > 0;
  }

  add(damage: LayerDamage): void {
    this.#entries.push({ ...damage, sinceMs: this.#world.nowMs });
    if (this.#entries.length === 1) this.#later();
  }

  describe(): string[] {
    return this.#entries.map((entry) => this.#describe(entry));
  }

  #later(): void {
    this.#world.after(POLL_MS, 'layers are looked at', () => {
      this.#entries = this.#entries.filter((entry) => this.#isStillOpen(entry));
      if (this.#entries.length > 0) this.#later();
    });
  }

  #isStillOpen(entry: Entered): boolean {
    const { nowMs } = this.#world;
    const state = entry.state();
    switch (state) {
      case 'void':
        return false;
      case 'held':
        entry.sinceMs = nowMs;
        return true;
      case 'healed':
        this.#healed += 1;
        this.#noteTime(entry.layer, nowMs - entry.sinceMs);
        this.#world.note('a layer is healed', () => this.#describe(entry));
        return false;
      case 'damaged':
        if (nowMs - entry.sinceMs <= entry.boundMs + POLL_MS) return true;
        this.#findings.report(7, `${this.#describe(entry)}: more than ${entry.boundMs} ms`);
        return false;
      default:
        return state satisfies never;
    }
  }

  #noteTime(layer: DamagedLayer, ms: number): void {
    this.#slowestMs.set(layer, Math.max(ms, this.#slowestMs.get(layer) ?? 0));
  }

  #describe({ layer, what, sinceMs }: Entered): string {
    return `${layer}: ${what} for ${(this.#world.nowMs - sinceMs).toFixed(0)} ms`;
  }
}
