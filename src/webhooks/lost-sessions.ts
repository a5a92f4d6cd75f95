import type { ActorId, MemberId } from '../core/ids.ts';
import type { SessionRegistry } from '../messaging/port.ts';
import type { RemoteSession } from '../messaging/presence.ts';
import type { Runtime, Timer } from '../runtime/port.ts';
import { textFits, type OutboxEvent } from './event.ts';

export interface LostSessionOptions {
  readonly sessions: Pick<SessionRegistry, 'online'>;
  readonly runtime: Pick<Runtime, 'clock' | 'timers'>;
  /** Whether this member hears enough others to say who is gone. */
  readonly isMajority: () => boolean;
  readonly wanted: () => boolean;
  /** This run, which tells of those that are there again where it is the first choice for that. */
  readonly actor: ActorId;
  readonly isFirst: (name: string, without: MemberId) => boolean;
  readonly emit: (event: OutboxEvent) => void;
}

/** A link that breaks for a moment makes nobody offline. */
const GRACE_MS = 2_000;
const TICK_MS = 500;
/** Sessions of dead members that nobody was told of yet, and such as somebody was. */
const KEPT_MAX = 200_000;

/**
 * Who goes offline with a node that dies: it tells nobody, so every survivor writes the same event down, of
 * the same id and the dead run as its author, and one of them delivers it as it does what the dead run left.
 */
export class LostSessions {
  readonly #options: LostSessionOptions;
  readonly #pending = new Map<string, { readonly session: RemoteSession; readonly atMs: number }>();
  /** How often each was told of: one that was only cut off is online again. */
  readonly #told = new Map<string, number>();
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: LostSessionOptions) {
    this.#options = options;
  }

  onRemote(session: RemoteSession, change: 'lost' | 'found'): void {
    if (this.#isStopped || !this.#options.wanted()) return;
    const name = `${session.run}-s${session.id}`;
    if (change === 'lost') {
      if (this.#pending.size >= KEPT_MAX) return;
      this.#pending.set(name, { session, atMs: this.#options.runtime.clock.monotonicMs() });
      this.#timer ??= this.#options.runtime.timers.after(TICK_MS, () => this.#tick());
    } else if (!this.#pending.delete(name) && this.#told.has(name)) {
      const again = this.#next(name);
      // The node of the session is heard and knows of no event: one of those that lost it tells.
      const { isFirst, actor } = this.#options;
      if (isFirst(name, session.member)) this.#emit(again, session, { state: 1, author: actor });
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#pending.clear();
  }

  #tick(): void {
    this.#timer = undefined;
    const { runtime, isMajority } = this.#options;
    const due = runtime.clock.monotonicMs() - GRACE_MS;
    // Who is cut off from most of the others cannot say that these are gone.
    if (isMajority()) {
      for (const [name, { session, atMs }] of this.#pending) {
        if (atMs > due) continue;
        this.#pending.delete(name);
        this.#emit(this.#next(name), session, { state: 0, author: session.run });
      }
    }
    if (this.#pending.size > 0) {
      this.#timer = runtime.timers.after(TICK_MS, () => this.#tick());
    }
  }

  /** Of the next event about the session; the same on every survivor. */
  #next(name: string): string {
    const times = (this.#told.get(name) ?? 0) + 1;
    this.#told.delete(name);
    this.#told.set(name, times);
    if (this.#told.size > KEPT_MAX) {
      for (const oldest of this.#told.keys()) {
        this.#told.delete(oldest);
        break;
      }
    }
    return `user.onlinestatus:${name}-${times}`;
  }

  #emit(
    id: string,
    { uid, deviceFlag, id: session }: RemoteSession,
    { state, author }: { readonly state: 0 | 1; readonly author: ActorId },
  ): void {
    const online = this.#options.sessions.online(uid);
    const ofDevice = online.filter((device) => device.deviceFlag === deviceFlag).length;
    const text = [uid, deviceFlag, state, session, ofDevice, online.length].join('-');
    if (!textFits(text)) return;
    this.#options.emit({
      ...{ id, author, type: 'user.onlinestatus' },
      atMs: this.#options.runtime.clock.wallMs(),
      content: { kind: 'text', text },
    });
  }
}
