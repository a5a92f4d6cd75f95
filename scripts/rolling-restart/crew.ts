import { WebSocket } from 'ws';
import { HoldfastClient } from '../../src/client/client.ts';
import { Waits } from './waits.ts';

export interface CrewOptions {
  /** ws://host:port of every node. */
  readonly addresses: readonly string[];
  readonly clients: number;
  readonly channels: number;
  /** Messages a second of all together. */
  readonly sendsPerSecond: number;
}

interface Hand {
  readonly client: HoldfastClient;
  readonly uid: string;
  readonly channel: string;
  readonly waits: Waits;
  readonly heard: Map<string, number>;
}

export interface CrewReport {
  readonly acknowledged: number;
  /** Sends that were refused or given up. */
  readonly refused: number;
  /** `uid lacks text` and `uid has text n times`. */
  readonly lost: readonly string[];
  readonly twice: readonly string[];
  readonly reconnects: number;
  readonly longestWaitMs: number;
}

const SEND_STEP_MS = 20;

/** Clients of ours as an application has them: each hears one channel, and all write all the while. */
export class Crew {
  readonly #hands: readonly Hand[];
  readonly #options: CrewOptions;
  readonly #acknowledged: { readonly channel: string; readonly from: string; text: string }[] = [];
  readonly #underway = new Set<Promise<void>>();
  #refused = 0;
  #sent = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#hands = Array.from({ length: options.clients }, (_, i) => handOf(options, i));
  }

  get acknowledged(): number {
    return this.#acknowledged.length;
  }

  channelOf(index: number): string {
    return this.#hands[index % this.#hands.length]!.channel;
  }

  /** Connects and subscribes everyone. */
  async start(): Promise<void> {
    for (const { client } of this.#hands) client.start();
    await until('all clients are connected', 30_000, () => this.connected === this.#hands.length);
    await Promise.all(this.#hands.map(({ client, channel }) => client.subscribe(channel, 2)));
  }

  get connected(): number {
    return this.#hands.filter(({ client }) => client.state === 'connected').length;
  }

  startSending(): void {
    const { sendsPerSecond } = this.#options;
    const beganMs = performance.now();
    this.#timer = setInterval(() => {
      const due = ((performance.now() - beganMs) * sendsPerSecond) / 1000;
      while (this.#sent < due) this.#send();
    }, SEND_STEP_MS);
  }

  /** Resolves when every send was answered and every hand has all, or after `withinMs`. */
  async finish(withinMs: number): Promise<CrewReport> {
    clearInterval(this.#timer);
    const endMs = performance.now() + withinMs;
    await until('every send is answered', withinMs, () => this.#underway.size === 0);
    while (this.#missing().length > 0 && performance.now() < endMs) await pause(50);
    const report = {
      acknowledged: this.#acknowledged.length,
      refused: this.#refused,
      lost: this.#missing(),
      twice: this.#hands.flatMap(({ uid, heard }) =>
        [...heard].filter(([, n]) => n > 1).map(([text, n]) => `${uid} has ${text} ${n} times`),
      ),
      reconnects: this.#hands.reduce((sum, { waits }) => sum + waits.count, 0),
      longestWaitMs: Math.max(...this.#hands.map(({ waits }) => waits.longest())),
    };
    return report;
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const { client } of this.#hands) client.stop();
  }

  #send(): void {
    const from = this.#hands[this.#sent % this.#hands.length]!;
    const text = `message ${this.#sent++}`;
    const payload = Buffer.from(text).toString('base64');
    const sending = from.client.send(from.channel, 2, { payload }).then(
      () => {
        this.#acknowledged.push({ channel: from.channel, from: from.uid, text });
      },
      () => {
        this.#refused += 1;
      },
    );
    this.#underway.add(sending);
    void sending.then(() => this.#underway.delete(sending));
  }

  #missing(): readonly string[] {
    return this.#hands.flatMap(({ uid, channel, heard }) =>
      this.#acknowledged
        .filter((sent) => sent.channel === channel && sent.from !== uid && !heard.has(sent.text))
        .map(({ text }) => `${uid} lacks ${text}`),
    );
  }
}

function handOf({ addresses, channels }: CrewOptions, index: number): Hand {
  const uid = `hand-${index}`;
  const waits = new Waits();
  const heard = new Map<string, number>();
  const first = index % addresses.length;
  let wasConnected = false;
  const client = new HoldfastClient({
    ...{ uid, deviceId: uid },
    // Each knows all nodes and begins with its own.
    addresses: [...addresses.slice(first), ...addresses.slice(0, first)],
    openSocket: (address) => new WebSocket(address),
    onMessage({ payload }) {
      const text = Buffer.from(payload, 'base64').toString();
      heard.set(text, (heard.get(text) ?? 0) + 1);
    },
    onState(state) {
      wasConnected ||= state === 'connected';
      if (wasConnected) waits.note(state === 'connected');
    },
  });
  return { client, uid, channel: `rolling-${index % channels}`, waits, heard };
}

export async function until(
  what: string,
  withinMs: number,
  condition: () => boolean,
): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await pause(20);
  }
}

export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}
