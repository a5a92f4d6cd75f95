import { EasyClient } from '../../test/support/clients/easy-client.ts';
import { SET_PREFIX, type SetElement } from './checker.ts';

export interface Element extends SetElement {
  add: SetElement['add'];
  removal: SetElement['removal'];
  receipt: string | undefined;
}

/** A writer rests so long between two operations. */
const STEP_MS = 20;
const REMOVAL_SHARE = 0.3;

export interface HistoryLine {
  readonly atMs: number;
  readonly what: string;
  readonly element?: string;
  readonly outcome?: string;
}

/**
 * Adds elements (a user in a channel, each added once and removed at most once) by real clients, and
 * remembers what the cluster has acknowledged.
 */
export class SetWorkload {
  readonly elements: Element[] = [];
  readonly history: HistoryLine[] = [];
  readonly #urls: readonly string[];
  readonly #random: () => number;
  readonly #startedMs = performance.now();
  #acknowledged = 0;

  constructor(urls: readonly string[], random: () => number) {
    this.#urls = urls;
    this.#random = random;
  }

  acknowledgedSoFar(): number {
    return this.#acknowledged;
  }

  note(what: string, more: Omit<HistoryLine, 'what' | 'atMs'> = {}): void {
    this.history.push({ atMs: Math.round(performance.now() - this.#startedMs), what, ...more });
  }

  /** Works on the node of this index until the signal aborts; a client that fails is replaced. */
  async work(at: { index: number; writer: number }, signal: AbortSignal): Promise<void> {
    const url = this.#urls[at.index]!;
    for (let run = 0; !signal.aborted; run++) {
      const uid = `w${at.index}-${at.writer}-${run}`;
      const client = new EasyClient({ url, uid });
      const mine: Element[] = [];
      try {
        await client.connect();
        for (let i = 0; !signal.aborted; i++) {
          await this.#step(client, { mine, channel: `${SET_PREFIX}${uid}-${i}` });
          await pause(STEP_MS);
        }
      } catch {
        await pause(200);
      } finally {
        client.stop();
      }
    }
  }

  /** `mine`: what this client added and has not removed. */
  async #step(
    client: EasyClient,
    { mine, channel }: { mine: Element[]; channel: string },
  ): Promise<void> {
    const at = this.#random() < REMOVAL_SHARE ? Math.floor(this.#random() * mine.length) : -1;
    const old = mine[at];
    if (old?.receipt === undefined) {
      mine.push(await this.#add(client, { uid: client.uid, channel }));
    } else {
      mine.splice(at, 1);
      await this.#remove(client, old);
    }
  }

  async #add(client: EasyClient, at: { uid: string; channel: string }): Promise<Element> {
    const element: Element = { ...at, add: 'unknown', removal: 'none', receipt: undefined };
    this.elements.push(element);
    try {
      const { reached, receipt } = await client.subscribe(at.channel);
      element.receipt = receipt;
      // On one disk alone it may go with that disk, and the reply said so.
      if (reached !== 'local') {
        element.add = 'acknowledged';
        this.#acknowledged += 1;
      }
      this.note('add', { element: at.channel, outcome: reached ?? '' });
      return element;
    } catch (error) {
      this.note('add', { element: at.channel, outcome: `failed: ${(error as Error).message}` });
      throw error;
    }
  }

  async #remove(client: EasyClient, element: Element): Promise<void> {
    element.removal = 'unknown';
    try {
      const { reached } = await client.unsubscribe(element.channel, 2, element.receipt);
      if (reached !== 'local') element.removal = 'acknowledged';
      this.note('remove', { element: element.channel, outcome: reached ?? '' });
    } catch (error) {
      const outcome = `failed: ${(error as Error).message}`;
      this.note('remove', { element: element.channel, outcome });
      throw error;
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
