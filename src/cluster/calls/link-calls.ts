import { pack, unpack } from 'msgpackr';
import type { MemberId } from '../../core/ids.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime, Timer } from '../../runtime/port.ts';
import { CALL_BYTES_MAX, type Call, type Reply } from '../link/message.ts';
import {
  PeerCallError,
  type PeerCallCode,
  type PeerCallHandler,
  type PeerCalls,
  type PeerRequest,
} from './port.ts';

/** One end of a link, as far as calls are concerned. Compared by identity: a new link is another end. */
export interface CallEnd {
  readonly link: { readonly peer: MemberId; bufferedBytes(): number };
  send(message: Call | Reply): boolean;
}

export interface CallLimits {
  /** Questions to one peer that wait for their answers. */
  readonly askedMax: number;
  /** Questions of one peer that are being answered here. */
  readonly answeringMax: number;
  /** Above this many unsent bytes of a link nothing is added: replication goes first. */
  readonly bufferedBytesMax: number;
  readonly bodyBytesMax: number;
}

export const CALL_LIMITS: CallLimits = {
  askedMax: 64,
  answeringMax: 64,
  bufferedBytesMax: 4 * 1024 * 1024,
  bodyBytesMax: CALL_BYTES_MAX,
};

export interface LinkCallsOptions {
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'debug' | 'warn'>;
  /** The link that this member opened to `member`, where hellos were exchanged on it. */
  readonly opened: (member: MemberId) => CallEnd | undefined;
  readonly members: () => readonly MemberId[];
  readonly limits?: Partial<CallLimits> | undefined;
}

interface Waiting {
  readonly method: string;
  readonly end: CallEnd;
  readonly timer: Timer;
  readonly settle: (outcome: unknown) => void;
  readonly fail: (error: PeerCallError) => void;
}

/** What is known of one link on which a peer asks. */
interface Serving {
  highest: number;
  answering: number;
}

/**
 * Questions and answers over the replication's links. A call goes over the link that this member opened
 * and is answered on the same one; a link that ends fails its calls at once.
 *
 * Invariant: every call settles exactly once, never later than its deadline.
 */
export class LinkCalls implements PeerCalls {
  readonly #options: LinkCallsOptions;
  readonly #limits: CallLimits;
  readonly #handlers = new Map<string, PeerCallHandler>();
  readonly #waiting = new Map<number, Waiting>();
  readonly #asked = new Map<CallEnd, Set<number>>();
  readonly #serving = new Map<CallEnd, Serving>();
  readonly #bytes = new Map<string, number>();
  #lastRequest = 0;

  constructor(options: LinkCallsOptions) {
    this.#options = options;
    this.#limits = { ...CALL_LIMITS, ...options.limits };
  }

  answer(method: string, handler: PeerCallHandler): void {
    if (this.#handlers.has(method)) throw new Error(`"${method}" is answered already`);
    this.#handlers.set(method, handler);
  }

  /** Bytes of the questions asked here by methods that start so, and of their answers. Only grows. */
  bytesAsked(prefix: string): number {
    let total = 0;
    for (const [method, bytes] of this.#bytes) if (method.startsWith(prefix)) total += bytes;
    return total;
  }

  reachable(): readonly MemberId[] {
    return this.#options.members().filter((member) => this.#options.opened(member) !== undefined);
  }

  async call(member: MemberId, { method, body, timeoutMs }: PeerRequest): Promise<unknown> {
    const packed = this.#pack(body);
    if (!packed) throw new PeerCallError('too-large', `${method}: the question is too large`);
    const end = this.#options.opened(member);
    if (!end) throw new PeerCallError('unreachable', `no link to "${member}"`);
    const asked = this.#asked.get(end) ?? new Set();
    if (asked.size >= this.#limits.askedMax || this.#full(end)) {
      throw new PeerCallError('busy', `too many questions to "${member}" are in flight`);
    }
    const request = ++this.#lastRequest;
    this.#asked.set(end, asked.add(request));
    const reply = new Promise<unknown>((resolve, reject) => {
      const timer = this.#options.runtime.timers.after(timeoutMs, () => {
        this.#fail(request, 'timeout', `"${member}" did not answer ${method} in ${timeoutMs} ms`);
      });
      this.#waiting.set(request, { method, end, timer, settle: resolve, fail: reject });
    });
    this.#count(method, packed);
    end.send({ type: 'call', request, method, body: packed });
    return reply;
  }

  /** A question of a peer, on the link that the peer opened. */
  called(end: CallEnd, { request, method, body }: Call): void {
    const serving = this.#serving.get(end) ?? { highest: 0, answering: 0 };
    this.#serving.set(end, serving);
    // Numbers rise: one that does not is a repeated frame.
    if (request <= serving.highest) return;
    serving.highest = request;
    if (serving.answering >= this.#limits.answeringMax || this.#full(end)) {
      return this.#refuse(end, request, { code: 'busy', message: 'too many questions' });
    }
    const handler = this.#handlers.get(method);
    if (!handler) {
      return this.#refuse(end, request, { code: 'unknown-method', message: method });
    }
    serving.answering += 1;
    void this.#answer(handler, { end, body }).then((reply) => {
      serving.answering -= 1;
      // The asker of a link that has ended is gone.
      if (this.#serving.get(end) !== serving) return;
      if (reply.ok) end.send({ type: 'reply', request, ok: true, body: reply.body });
      else this.#refuse(end, request, reply);
    });
  }

  /** An answer, on the link that this member opened. One that nobody waits for came too late. */
  replied(end: CallEnd, reply: Reply): void {
    const waiting = this.#waiting.get(reply.request);
    if (!waiting || waiting.end !== end) return;
    if (reply.ok) this.#count(waiting.method, reply.body);
    else return this.#fail(reply.request, reply.code, reply.message);
    let body: unknown;
    try {
      body = unpack(reply.body);
    } catch {
      return this.#fail(reply.request, 'failed', 'the answer is no msgpack');
    }
    this.#take(reply.request)?.settle(body);
  }

  /** The link is gone, with what was on its way. */
  ended(end: CallEnd): void {
    this.#serving.delete(end);
    for (const request of this.#asked.get(end) ?? []) {
      this.#fail(request, 'unreachable', `the link to "${end.link.peer}" ended`);
    }
    this.#asked.delete(end);
  }

  async #answer(
    handler: PeerCallHandler,
    { end, body }: { end: CallEnd; body: Uint8Array },
  ): Promise<Answered> {
    try {
      // Unpacked bytes are views: on a copy, so that what a handler keeps pins no frame.
      const packed = this.#pack(await handler(end.link.peer, unpack(Uint8Array.from(body))));
      if (packed) return { ok: true, body: packed };
      return { ok: false, code: 'too-large', message: 'the answer is too large' };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#options.log.debug('a question of a peer failed', { peer: end.link.peer, message });
      return { ok: false, code: 'failed', message };
    }
  }

  #pack(body: unknown): Uint8Array | undefined {
    const packed = pack(body);
    return packed.length <= this.#limits.bodyBytesMax ? packed : undefined;
  }

  /** The methods are those of this program: few. */
  #count(method: string, body: Uint8Array): void {
    this.#bytes.set(method, (this.#bytes.get(method) ?? 0) + body.length);
  }

  #refuse(end: CallEnd, request: number, { code, message }: Refusal): void {
    end.send({ type: 'reply', request, ok: false, code, message });
  }

  #full(end: CallEnd): boolean {
    return end.link.bufferedBytes() > this.#limits.bufferedBytesMax;
  }

  #fail(request: number, code: PeerCallCode, message: string): void {
    this.#take(request)?.fail(new PeerCallError(code, message));
  }

  #take(request: number): Waiting | undefined {
    const waiting = this.#waiting.get(request);
    if (!waiting) return undefined;
    this.#waiting.delete(request);
    this.#asked.get(waiting.end)?.delete(request);
    waiting.timer.cancel();
    return waiting;
  }
}

interface Refusal {
  readonly code: 'busy' | 'unknown-method' | 'too-large' | 'failed';
  readonly message: string;
}

type Answered =
  { readonly ok: true; readonly body: Uint8Array } | ({ readonly ok: false } & Refusal);
