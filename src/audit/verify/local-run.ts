import type { MemberId } from '../../core/ids.ts';
import type { LayerPass, StepState, VerifyLayers, VerifyStep } from './port.ts';

/** A table as one member had it: unchanged while it was read where both hashes are equal. */
export interface TableDigest {
  readonly digest: string;
  readonly subscriptions: number;
  readonly vectorBefore: number;
  readonly vectorAfter: number;
}

/** A pass that finds something repairs it and runs again: what differs twice in a row is different. */
const ATTEMPTS = 3;

/** This node's part of a proof: its sweeps and passes, one after the other, with what has come of each. */
export class LocalRun {
  readonly #self: MemberId;
  readonly #steps: VerifyStep[] = [];
  readonly #abort = new AbortController();
  #ended = false;

  constructor(self: MemberId) {
    this.#self = self;
  }

  get steps(): readonly VerifyStep[] {
    return this.#steps;
  }

  get ended(): boolean {
    return this.#ended;
  }

  stop(): void {
    this.#abort.abort();
  }

  async run(layers: VerifyLayers, peers: readonly MemberId[]): Promise<void> {
    const sweeps = peers.map((peer): LayerPass => sweepPass(layers, peer));
    for (const pass of [...sweeps, ...layers.passes]) {
      if (this.#abort.signal.aborted) break;
      await this.#runPass(pass);
    }
    this.#ended = true;
  }

  async #runPass({ name, run }: LayerPass): Promise<void> {
    const at = this.#steps.length;
    const set = (change: Partial<VerifyStep>): void => {
      this.#steps[at] = { ...this.#steps[at]!, ...change };
    };
    const begun = { state: 'running', done: 0, total: 0, detail: '' } as const;
    this.#steps.push({ member: this.#self, name, ...begun });
    const found: string[] = [];
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      try {
        const { differences, detail } = await run((progress) => set(progress), this.#abort.signal);
        if (differences === 0) return set({ state: 'ok', detail: found.join('; ') });
        found.push(detail ?? `${differences} repaired`);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        return set({ state: 'unproven', detail: reason });
      }
    }
    const state: StepState = 'different';
    set({ state, detail: found.join('; ') });
  }
}

function sweepPass({ sweepNow }: VerifyLayers, peer: MemberId): LayerPass {
  return {
    name: `sweep with ${peer}`,
    async run(_onProgress, signal) {
      if (!sweepNow) throw new Error('this release does not sweep');
      const { clean, detail } = await sweepNow(peer, signal);
      return { differences: clean ? 0 : 1, detail };
    },
  };
}

export async function digestTable({ digest, vectorHash }: VerifyLayers): Promise<TableDigest> {
  const vectorBefore = vectorHash();
  const table = await digest();
  return { ...table, vectorBefore, vectorAfter: vectorHash() };
}
