import type { Member } from '../../core/member.ts';
import type { Runtime, Timer } from '../../runtime/port.ts';
import type { PeerMessage } from '../link/message.ts';
import type { Link, PeerTransport } from '../link/port.ts';
import type { ReplicationLimits } from './options.ts';

export interface DialerEvents {
  onOpen(link: Link): void;
  onMessage(link: Link, message: PeerMessage): void;
  onDrain(link: Link): void;
  onClose(link: Link, reason: string): void;
  onFailure(error: unknown): void;
}

export interface DialerOptions {
  readonly peer: Member;
  readonly transport: PeerTransport;
  readonly runtime: Runtime;
  readonly limits: ReplicationLimits;
  readonly events: DialerEvents;
}

/** Opens one link to a peer, again and again until `stop`, waiting longer while it does not last. */
export class Dialer {
  readonly #options: DialerOptions;
  #state: 'stopped' | 'waiting' | 'connecting' | 'open' = 'stopped';
  #timer: Timer | undefined;
  #abort: AbortController | undefined;
  #failures = 0;

  constructor(options: DialerOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#state === 'stopped') this.#dial();
  }

  stop(): void {
    this.#state = 'stopped';
    this.#timer?.cancel();
    this.#abort?.abort(new Error('stopped'));
  }

  /** The peer is known to be up: a long wait is cut short. */
  hurry(): void {
    if (this.#state !== 'waiting') return;
    this.#timer?.cancel();
    this.#failures = 0;
    this.#wait();
  }

  #dial(): void {
    const { peer, transport, runtime, limits, events } = this.#options;
    this.#state = 'connecting';
    const abort = new AbortController();
    this.#abort = abort;
    const deadline = runtime.timers.after(limits.connectTimeoutMs, () => {
      const error = new Error(`no link within ${limits.connectTimeoutMs} ms`);
      abort.abort(error);
      this.#failed(abort, error);
    });
    let link: Link | undefined;
    let openedMs = 0;
    let closed: string | undefined;
    const handler = {
      onMessage: (message: PeerMessage): void => {
        if (link) events.onMessage(link, message);
      },
      onDrain: (): void => {
        if (link) events.onDrain(link);
      },
      onClose: (reason: string): void => {
        closed = reason;
        if (!link) return;
        const lastedMs = runtime.clock.monotonicMs() - openedMs;
        if (lastedMs >= limits.stableMs) this.#failures = 0;
        events.onClose(link, reason);
        if (this.#abort === abort && this.#state === 'open') this.#wait();
      },
    };
    transport.connect(peer, handler, abort.signal).then(
      (opened) => {
        deadline.cancel();
        if (this.#abort !== abort || this.#state !== 'connecting')
          return opened.close('not wanted');
        if (closed !== undefined) return this.#failed(abort, new Error(closed));
        this.#state = 'open';
        link = opened;
        openedMs = runtime.clock.monotonicMs();
        events.onOpen(opened);
      },
      (error: unknown) => {
        deadline.cancel();
        this.#failed(abort, error);
      },
    );
  }

  #failed(abort: AbortController, error: unknown): void {
    if (this.#abort !== abort || this.#state !== 'connecting') return;
    this.#options.events.onFailure(error);
    this.#wait();
  }

  /** Full jitter over the upper half, so that members that restart together do not dial together. */
  #wait(): void {
    const { runtime, limits } = this.#options;
    const ceilingMs = Math.min(limits.backoffMaxMs, limits.backoffMinMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    this.#state = 'waiting';
    const delayMs = ceilingMs * (0.5 + runtime.random.fraction() / 2);
    this.#timer = runtime.timers.after(delayMs, () => this.#dial());
  }
}
