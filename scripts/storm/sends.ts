import type { Caller } from './http.ts';

/** `given up`: nobody asked again after no answer, so that nobody knows what came of it. */
export type Fate = 'acknowledged' | 'given up';

/** One message of a pair of users that nobody had seen before. */
export interface Send {
  readonly from: string;
  readonly to: string;
  readonly number: string;
  readonly text: string;
  fate: Fate;
  attempts: number;
}

/** Two users who write to each other for the first time: one message, or one each at the same moment. */
export interface Pair {
  readonly a: string;
  readonly b: string;
  readonly sends: readonly Send[];
}

export interface StormOptions {
  readonly caller: Caller;
  /** http://host:port of each node. */
  readonly nodes: readonly string[];
  readonly random: () => number;
  /** Sends at once. */
  readonly width: number;
}

const RETRY_WITHIN_MS = 60_000;
const RETRY_AFTER_MS = 50;
/** Of each of the workers, between two pairs, at most. Milliseconds. */
const PAUSE_MS = 10;
/** Of a hundred: pairs in which both write at once, on different nodes. */
const BOTH_PERCENT = 25;
/** Of a hundred: sends that are not asked again, whatever came of them. */
const ONCE_PERCENT = 15;

/** First direct messages, as many at once as `width`, until told to stop. */
export class Storm {
  readonly pairs: Pair[] = [];
  readonly #options: StormOptions;

  constructor(options: StormOptions) {
    this.#options = options;
  }

  /** Begins no pair after the signal or after `pairsMax`; resolves when the last was answered or given up. */
  async blow(signal: AbortSignal, pairsMax: number): Promise<void> {
    const until = this.pairs.length + pairsMax;
    const worker = async (): Promise<void> => {
      while (!signal.aborted && this.pairs.length < until) {
        await this.#pair();
        await pause(this.#options.random() * PAUSE_MS);
      }
    };
    await Promise.all(Array.from({ length: this.#options.width }, worker));
  }

  async #pair(): Promise<void> {
    const { random } = this.#options;
    const n = this.pairs.length;
    const [a, b] = [`a${n}`, `b${n}`];
    const sends = [newSend(a, b)];
    if (random() * 100 < BOTH_PERCENT) sends.push(newSend(b, a));
    this.pairs.push({ a, b, sends });
    const once = random() * 100 < ONCE_PERCENT;
    const first = this.#draw();
    const others = this.#options.nodes.filter((node) => node !== first);
    await Promise.all(
      sends.map((send, index) =>
        this.#send(send, once, index === 0 ? first : (others[0] ?? first)),
      ),
    );
  }

  /** To another node each time, as a backend behind a balancer does. */
  async #send(send: Send, once: boolean, first: string): Promise<void> {
    const { caller } = this.#options;
    const endMs = performance.now() + RETRY_WITHIN_MS;
    for (let node = first; performance.now() < endMs; node = this.#draw()) {
      send.attempts += 1;
      const answer = await caller.post(node, '/message/send', {
        ...{ from_uid: send.from, channel_id: send.to, channel_type: 1 },
        client_msg_no: send.number,
        payload: Buffer.from(send.text).toString('base64'),
      });
      if (answer?.status === 200) {
        send.fate = 'acknowledged';
        return;
      }
      if (once) return;
      await pause(RETRY_AFTER_MS);
    }
  }

  #draw(): string {
    const { nodes, random } = this.#options;
    return nodes[Math.floor(random() * nodes.length)]!;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function newSend(from: string, to: string): Send {
  const number = `${from}-${to}`;
  return { from, to, number, text: `from ${from} to ${to}`, fate: 'given up', attempts: 0 };
}
