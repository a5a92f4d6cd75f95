import { EasyClient } from '../../test/support/clients/easy-client.ts';

export interface Element {
  readonly channel: string;
  readonly uid: string;
  add: 'acknowledged' | 'unknown';
  removal: 'none' | 'acknowledged' | 'unknown';
  receipt: string | undefined;
}

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

  constructor(urls: readonly string[], random: () => number) {
    this.#urls = urls;
    this.#random = random;
  }

  acknowledgedSoFar(): number {
    return this.elements.filter(({ add }) => add === 'acknowledged').length;
  }

  note(what: string, more: Omit<HistoryLine, 'what' | 'atMs'> = {}): void {
    this.history.push({ atMs: Math.round(performance.now() - this.#startedMs), what, ...more });
  }

  /** Works on one node until the signal aborts; a client that fails is replaced. */
  async work(index: number, signal: AbortSignal): Promise<void> {
    const url = this.#urls[index]!;
    for (let run = 0; !signal.aborted; run++) {
      const uid = `w${index}-${run}`;
      const client = new EasyClient({ url, uid });
      try {
        await client.connect();
        for (let i = 0; !signal.aborted; i++) await this.#step(client, { uid, i });
      } catch {
        await pause(200);
      } finally {
        client.stop();
      }
    }
  }

  async #step(client: EasyClient, { uid, i }: { uid: string; i: number }): Promise<void> {
    const mine = this.elements.filter((one) => one.uid === uid && one.removal === 'none');
    const old = this.#random() < 0.3 ? mine[Math.floor(this.#random() * mine.length)] : undefined;
    if (old?.receipt !== undefined) await this.#remove(client, old);
    else await this.#add(client, { uid, channel: `set-${uid}-${i}` });
    await pause(20);
  }

  async #add(client: EasyClient, at: { uid: string; channel: string }): Promise<void> {
    const element: Element = { ...at, add: 'unknown', removal: 'none', receipt: undefined };
    this.elements.push(element);
    try {
      const { reached, receipt } = await client.subscribe(at.channel);
      element.receipt = receipt;
      // On one disk alone it may go with that disk, and the reply said so.
      if (reached !== 'local') element.add = 'acknowledged';
      this.note('add', { element: at.channel, outcome: reached ?? '' });
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
