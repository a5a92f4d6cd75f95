import { z } from 'zod';
import type { Runtime, Timer } from '../../runtime/port.ts';
import { askMembers, type AskOptions, type Answers } from '../ask-members.ts';
import type { SilentMember } from '../operations/port.ts';
import { judgeTables, type TableVerdict } from './judge-tables.ts';
import { digestTable, LocalRun, type TableDigest } from './local-run.ts';
import type { StepState, Verifier, VerifyLayers, VerifyProgress, VerifyStep } from './port.ts';

export interface VerifierOptions {
  readonly ask: AskOptions;
  readonly layers: VerifyLayers;
  readonly runtime: Runtime;
  readonly facts: {
    fact(name: string): Uint8Array | undefined;
    setFact(name: string, value: Uint8Array | undefined): void;
  };
}

const METHOD = 'verify';
const FACT = 'verified-at';
const POLL_MS = 300;
const TIMEOUT_MS = 3_000;
/** Reading a table of a million takes about 2 s of a core, on each member. */
const TABLE_TIMEOUT_MS = 30_000;
const TABLE_ATTEMPTS = 5;
/** A run that nobody asks about any more is ended: its caller has gone. */
const ORPHAN_MS = 30_000;

const stepShape = z.object({
  name: z.string(),
  state: z.enum(['running', 'ok', 'different', 'unproven']),
  done: z.number(),
  total: z.number(),
  detail: z.string(),
});
const runShape = z.object({ steps: z.array(stepShape).max(1000), ended: z.boolean() });
const tableShape = z.object({
  digest: z.string(),
  subscriptions: z.number(),
  vectorBefore: z.number(),
  vectorAfter: z.number(),
});
const askShape = z.discriminatedUnion('do', [
  z.object({ do: z.literal('run'), run: z.string().max(64) }),
  z.object({ do: z.literal('table') }),
  z.object({ do: z.literal('proved'), atMs: z.number() }),
]);
type Ask = z.infer<typeof askShape>;
type RunAnswer = z.infer<typeof runShape>;

/** The proof that all layers of all members agree. Every node can ask for it and answers to the others. */
export class ClusterVerifier implements Verifier {
  readonly #options: VerifierOptions;
  #current: { readonly id: string; readonly run: LocalRun; askedMs: number } | undefined;
  /** Ends the current run when nobody asks about it any more. */
  #orphanTimer: Timer | undefined;

  constructor(options: VerifierOptions) {
    this.#options = options;
    options.ask.calls?.answer(METHOD, (_from, body) => this.#answer(askShape.parse(body)));
  }

  /** Wall clock; 0 for never. */
  lastTrueMs(): number {
    const stored = this.#options.facts.fact(FACT);
    return stored ? Number(new TextDecoder().decode(stored)) || 0 : 0;
  }

  async *verify(signal: AbortSignal): AsyncGenerator<VerifyProgress> {
    const lastTrueMs = this.lastTrueMs();
    const id = Array.from(this.#options.runtime.random.bytes(8), (byte) => byte.toString(16)).join(
      '',
    );
    yield { steps: [], lastTrueMs };
    let steps: readonly VerifyStep[] = [];
    for (;;) {
      const asked = await this.#askAll<RunAnswer>(
        { do: 'run', run: id },
        {
          timeoutMs: TIMEOUT_MS,
          own: () => this.#runHere(id),
          parse: (body) => runShape.parse(body),
        },
      );
      steps = stepsOf(asked);
      yield { steps, lastTrueMs };
      if (signal.aborted) return;
      if (asked.answers.every(({ answer }) => answer.ended)) break;
      await this.#pause(POLL_MS);
    }
    const tables = await this.#compareTables(steps);
    const all = [
      ...steps,
      { ...tables, member: this.#options.ask.self, name: 'tables', done: 1, total: 1 },
    ];
    const proved = all.every(({ state }) => state === 'ok');
    if (proved) await this.#noteProved();
    yield { steps: all, lastTrueMs, proved };
  }

  /** Ends the run of this node, for good or until it is asked again. */
  stop(): void {
    this.#orphanTimer?.cancel();
    this.#current?.run.stop();
  }

  #answer(asked: Ask): unknown {
    if (asked.do === 'table') return digestTable(this.#options.layers);
    if (asked.do === 'run') return this.#runHere(asked.run);
    this.#note(asked.atMs);
    return {};
  }

  /** Starts the run where it is new, and says how far it is. Only the latest run goes on. */
  #runHere(id: string): RunAnswer {
    const { ask, layers, runtime } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    if (this.#current?.id !== id) {
      this.stop();
      const run = new LocalRun(ask.self);
      this.#current = { id, run, askedMs: nowMs };
      this.#watchOrphan(id);
      const others = ask.members().filter((member) => member !== ask.self);
      void run.run(layers, others).finally(() => {
        if (this.#current?.run === run) this.#orphanTimer?.cancel();
      });
    }
    this.#current.askedMs = nowMs;
    const { steps, ended } = this.#current.run;
    return { steps: steps.map(({ member: _member, ...step }) => step), ended };
  }

  #watchOrphan(id: string): void {
    const { clock, timers } = this.#options.runtime;
    this.#orphanTimer = timers.after(ORPHAN_MS, () => {
      const current = this.#current;
      if (current?.id !== id || current.run.ended) return;
      if (clock.monotonicMs() - current.askedMs >= ORPHAN_MS) current.run.stop();
      else this.#watchOrphan(id);
    });
  }

  /** Under writes the tables never stand still: then clean sweeps of every pair are the proof. */
  async #compareTables(steps: readonly VerifyStep[]): Promise<TableVerdict> {
    let verdict: TableVerdict = { state: 'unproven', detail: 'not read' };
    for (let attempt = 1; attempt <= TABLE_ATTEMPTS; attempt++) {
      const { answers, silent } = await this.#askAll<TableDigest>(
        { do: 'table' },
        {
          timeoutMs: TABLE_TIMEOUT_MS,
          own: () => digestTable(this.#options.layers),
          parse: (body) => tableShape.parse(body),
        },
      );
      if (silent.length > 0) return { state: 'unproven', detail: silentWords(silent) };
      verdict = judgeTables(answers.map(({ member, answer }) => ({ ...answer, member })));
      if (verdict.state === 'ok') return verdict;
      await this.#pause(attempt * POLL_MS);
    }
    const sweeps = steps.filter(({ name }) => name.startsWith('sweep'));
    if (
      verdict.state === 'unproven' &&
      sweeps.length > 0 &&
      sweeps.every(({ state }) => state === 'ok')
    ) {
      return { state: 'ok', detail: 'under write: every pair of members swept clean' };
    }
    return verdict;
  }

  async #noteProved(): Promise<void> {
    const atMs = this.#options.runtime.clock.wallMs();
    await this.#askAll<unknown>(
      { do: 'proved', atMs },
      {
        timeoutMs: TIMEOUT_MS,
        own: () => this.#note(atMs),
        parse: () => undefined,
      },
    );
  }

  #note(atMs: number): void {
    this.#options.facts.setFact(FACT, new TextEncoder().encode(String(Math.round(atMs))));
  }

  #askAll<Answer>(
    body: Ask,
    rest: {
      readonly timeoutMs: number;
      readonly own: () => Answer | Promise<Answer>;
      readonly parse: (body: unknown) => Answer;
    },
  ): Promise<Answers<Answer>> {
    return askMembers<Answer>(this.#options.ask, { method: METHOD, body, ...rest });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.runtime.timers.after(ms, resolve);
    });
  }
}

function stepsOf({ answers, silent }: Answers<RunAnswer>): readonly VerifyStep[] {
  const told = answers.flatMap(({ member, answer }) =>
    answer.steps.map((step): VerifyStep => ({ ...step, member })),
  );
  const state: StepState = 'unproven';
  const unheard = silent.map(({ member, reason }): VerifyStep => {
    return { member, name: 'answer', state, done: 0, total: 0, detail: reason };
  });
  return [...told, ...unheard].toSorted((a, b) => (a.member < b.member ? -1 : 1));
}

function silentWords(silent: readonly SilentMember[]): string {
  return silent.map(({ member, reason }) => `${member}: ${reason}`).join('; ');
}
