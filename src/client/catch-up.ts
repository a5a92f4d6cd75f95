import { nameOf } from './channel-list.ts';
import type { Result } from './connection.ts';
import type { Inbox } from './inbox.ts';
import { ClientError, type ReceivedMessage, type Resumed } from './options.ts';
import type { ResumeState } from './resume-state.ts';

export interface CatchUpOptions {
  readonly inbox: Inbox;
  readonly state: ResumeState;
  readonly request: (method: string, params: Result) => Promise<Result>;
}

interface Owed {
  readonly channelId: string;
  readonly channelType: number;
  readonly cursor: string | undefined;
  readonly reason: string;
}

interface ChannelAnswer {
  readonly channelId: string;
  readonly channelType: number;
  readonly status: string;
  readonly count?: number;
  readonly cut?: number;
  readonly cursor?: string;
  readonly reason?: string;
}

const RATE_LIMITED = 22;
const RETRY_MS = 300;
const PAGE = 100;
/** Pages of one channel; whoever missed more reads the rest of its history by itself. */
const PAGES_MAX = 1_000;

/** Fetches what was missed and was too much, or too long ago, for the answer to connect. */
export class CatchUp {
  readonly #options: CatchUpOptions;
  #owed: Owed[] = [];
  #token = '';
  #seen: readonly string[] = [];

  constructor(options: CatchUpOptions) {
    this.#options = options;
  }

  /** True while something that was missed is not here yet. */
  get isWorking(): boolean {
    return this.#owed.length > 0;
  }

  /** To be called before anything else of the connection is read: what comes live has to wait. */
  begin(answer: unknown): Resumed | undefined {
    this.#owed = [];
    if (typeof answer !== 'object' || answer === null) return undefined;
    const { state, inbox } = this.#options;
    const { snapshot, live = 0, channels = [] } = answer as Partial<ResumeAnswer>;
    this.#token = state.token;
    this.#seen = state.seen();
    const named = snapshot
      ? state.positions().map((one) => ({ ...one, status: 'snapshot', reason: snapshot }))
      : channels;
    let [replayed, cut] = [0, 0];
    for (const { channelId, channelType, status, ...how } of named as readonly ChannelAnswer[]) {
      replayed += how.count ?? 0;
      cut += how.cut ?? 0;
      if (status !== 'paged' && status !== 'snapshot') continue;
      inbox.hold(nameOf(channelId, channelType));
      this.#owed.push({ channelId, channelType, cursor: how.cursor, reason: how.reason ?? '' });
    }
    const snapshots = this.#owed
      .filter(({ cursor }) => cursor === undefined)
      .map(({ channelId, channelType, reason }) => ({ channelId, channelType, reason }));
    return { live, replayed, cut, paged: this.#owed.length - snapshots.length, snapshots };
  }

  /** Rejects where the connection ends: everything is owed still, and the next one begins again. */
  async run(): Promise<void> {
    const owed = this.#owed;
    while (owed.length > 0 && owed === this.#owed) {
      const [one] = owed as [Owed];
      const paged = one.cursor !== undefined && (await this.#pages(one, one.cursor));
      if (!paged) await this.#snapshot(one);
      if (owed !== this.#owed) return;
      owed.shift();
      this.#options.inbox.release(nameOf(one.channelId, one.channelType));
    }
  }

  /** False where the server cannot go on by the token. */
  async #pages({ channelId, channelType }: Owed, first: string): Promise<boolean> {
    let cursor = first;
    for (let page = 0; page < PAGES_MAX; page++) {
      const asked = { channelId, channelType, token: this.#token, seen: this.#seen, cursor };
      const answer = await this.#ask('resume', asked);
      if (!answer) return false;
      const frames = answer['messages'] as readonly { readonly params: ReceivedMessage }[];
      for (const { params } of frames) this.#options.inbox.deliver(params);
      if (answer['more'] !== true) return true;
      cursor = String(answer['cursor']);
    }
    return true;
  }

  /** By the numbers alone: what came late from behind a partition is in the history and not in here. */
  async #snapshot({ channelId, channelType }: Owed): Promise<void> {
    const known = this.#options.state.position(channelId, channelType);
    if (known === 0) return;
    let startSeq = known + 1;
    for (let page = 0; page < PAGES_MAX; page++) {
      const range = { startSeq, endSeq: 0, limit: PAGE, direction: 'up' };
      const answer = await this.#ask('history', { channelId, channelType, ...range });
      if (!answer) return;
      const found = answer['messages'] as readonly (ReceivedMessage & { recall?: unknown })[];
      for (const message of found) {
        if (!message.recall) this.#options.inbox.deliver({ ...message, channelId, channelType });
      }
      if (answer['more'] !== true) return;
      startSeq = Number(answer['nextSeq']);
    }
  }

  /** Undefined where the server refuses for good. */
  async #ask(method: string, params: Result): Promise<Result | undefined> {
    while (true) {
      try {
        return await this.#options.request(method, params);
      } catch (error) {
        const code = error instanceof ClientError ? error.code : 0;
        if (typeof code === 'string') throw error;
        if (code !== RATE_LIMITED) return undefined;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}

interface ResumeAnswer {
  readonly snapshot: string;
  readonly live: number;
  readonly channels: readonly ChannelAnswer[];
}
