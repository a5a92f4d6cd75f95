import { z } from 'zod';
import { formatDot } from '../../core/dot.ts';
import { denyKey, subscriptionKey } from '../../core/row-key.ts';
import { askMembers, type AskOptions } from '../ask-members.ts';
import { parsePair } from '../explain/explainer.ts';
import type { Explainer, Pair } from '../explain/port.ts';
import type { Repair, RepairListener } from '../port.ts';
import type { LayerRepairs, RepairChange, Repairer, RepairReport } from './port.ts';

const METHOD = 'repair';
/** A member asks the others for their rows within this. */
const TIMEOUT_MS = 10_000;
/** Of one user in one channel: a handful is usual. */
const CHANGES_MAX = 200;

const change = z.object({
  layer: z.string(),
  action: z.string(),
  cause: z.string(),
  dots: z.string(),
  detail: z.string(),
});
const answerShape = z.object({
  checked: z.array(z.string()),
  failed: z.array(z.string()),
  changes: z.array(change).max(CHANGES_MAX),
});
type Answer = z.infer<typeof answerShape>;

/**
 * Puts one user in one channel right, layer by layer on every member: first the rows, joined from all
 * copies, then what follows from them here. Idempotent: a second run finds nothing to do.
 */
export class ClusterRepairer implements Repairer, RepairListener {
  readonly #ask: AskOptions;
  readonly #layers: LayerRepairs;
  readonly #explainer: Explainer;
  readonly #running = new Set<{ readonly pair: Pair; readonly repairs: Repair[] }>();

  constructor(ask: AskOptions, parts: { layers: LayerRepairs; explainer: Explainer }) {
    this.#ask = ask;
    this.#layers = parts.layers;
    this.#explainer = parts.explainer;
    ask.calls?.answer(METHOD, (_from, body) => this.#repairHere(parsePair(body)));
  }

  /** What the layers tell while a repair of that user and channel runs is what it changed. */
  onRepair(repair: Repair): void {
    for (const { pair, repairs } of this.#running) {
      const same = repair.channel === pair.channel && repair.uid === pair.uid;
      if (same && repairs.length < CHANGES_MAX) repairs.push(repair);
    }
  }

  async repair(pair: Pair): Promise<RepairReport> {
    const { channel, uid } = pair;
    const { answers, silent } = await askMembers<Answer>(this.#ask, {
      ...{ method: METHOD, body: { channel, uid }, timeoutMs: TIMEOUT_MS },
      own: () => this.#repairHere(pair),
      parse: (body) => answerShape.parse(body),
    });
    const sorted = answers.toSorted((a, b) => (a.member < b.member ? -1 : 1));
    return {
      ...{ channel, uid, silent },
      members: sorted.map(({ member, answer: { checked, failed } }) => ({
        member,
        checked,
        failed,
      })),
      changes: sorted.flatMap(({ member, answer }) =>
        answer.changes.map((one): RepairChange => ({ ...one, member })),
      ),
      after: await this.#explainer.explain(pair),
    };
  }

  async #repairHere(pair: Pair): Promise<Answer> {
    const { channel, uid } = pair;
    const { rows, routing } = this.#layers;
    const running = { pair, repairs: [] as Repair[] };
    const checked: string[] = [];
    const failed: string[] = [];
    const attempt = async (layer: string, work: (() => unknown) | undefined): Promise<void> => {
      if (!work) return void failed.push(`${layer}: cannot be checked by this release`);
      try {
        await work();
        checked.push(layer);
      } catch (error) {
        failed.push(`${layer}: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    const keys = [
      subscriptionKey(channel, uid),
      ...(['ban', 'mute', 'blacklist'] as const).map((reason) => denyKey(channel, uid, reason)),
    ];
    this.#running.add(running);
    try {
      await attempt('rows', rows && (() => rows(keys)));
      await attempt('index and sockets', routing && (() => routing(channel, uid)));
    } finally {
      this.#running.delete(running);
    }
    return { checked, failed, changes: running.repairs.map(toChange) };
  }
}

function toChange({
  layer,
  action,
  cause,
  dots = [],
  detail = '',
}: Repair): Answer['changes'][number] {
  return { layer, action, cause, dots: dots.map(formatDot).join(','), detail };
}
