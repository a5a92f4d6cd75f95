import type { MemberId } from '../core/ids.ts';
import type { Runtime, Timer } from '../runtime/port.ts';

export interface CanaryOptions {
  readonly runtime: Runtime;
  /** Publishes the text on this node's probe channel, through the fan-out that users have. */
  readonly publishHere: (text: string) => void;
  /** Asks the peer to publish it on this node's probe channel; rejects where it cannot be asked. */
  readonly publishAt: (peer: MemberId, text: string) => Promise<unknown>;
  /** Peers that are heard: who is not is no fault of delivery, for every member serves alone too. */
  readonly livePeers: () => readonly MemberId[];
  readonly everyMs: number;
  /** A path by which nothing has come for this long, of several tries, is broken. */
  readonly brokenAfterMs: number;
  /** A path broke, once until something comes by it again. `peer`: absent for the own path. */
  readonly onBroken?: ((peer: MemberId | undefined, error: string) => void) | undefined;
}

export interface CanaryState {
  /** Why this node cannot deliver, where it cannot: by its own path, or by way of any live peer. */
  readonly broken: readonly string[];
  /** Peers by whose way nothing comes while by others it does. */
  readonly degraded: readonly string[];
  /** By the path: 1 where probes come, 0 where they do not. */
  readonly paths: readonly { readonly path: 'own' | MemberId; readonly delivers: boolean }[];
}

const TRIES_MIN = 3;

/** One way a probe takes to this node's own session. */
class Path {
  arrivedMs: number;
  /** Sent since the last one arrived. */
  tries = 0;
  error = '';
  told = false;

  constructor(nowMs: number) {
    this.arrivedMs = nowMs;
  }

  isBroken(nowMs: number, brokenAfterMs: number): boolean {
    return this.tries >= TRIES_MIN && nowMs - this.arrivedMs >= brokenAfterMs;
  }
}

/**
 * Publishes to a probe channel that only this node's probe session is in, by its own path and by way of
 * each live peer, and expects what it published. Health is delivery and not an open port: a node whose
 * port is open and whose fan-out is wedged says so here.
 */
export class Canary {
  readonly #options: CanaryOptions;
  readonly #own: Path;
  readonly #peers = new Map<MemberId, Path>();
  #number = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: CanaryOptions) {
    this.#options = options;
    this.#own = new Path(options.runtime.clock.monotonicMs());
  }

  start(): void {
    this.#own.arrivedMs = this.#options.runtime.clock.monotonicMs();
    this.#turn();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** A probe that reached the probe session, by whichever path its text names. */
  onProbe(text: string): void {
    const via = text.slice(text.indexOf(' ') + 1);
    const path = via === 'own' ? this.#own : this.#peers.get(via as MemberId);
    if (!path) return;
    path.arrivedMs = this.#options.runtime.clock.monotonicMs();
    path.tries = 0;
    path.error = '';
    path.told = false;
  }

  state(): CanaryState {
    const { runtime, brokenAfterMs } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    const isBroken = (path: Path): boolean => path.isBroken(nowMs, brokenAfterMs);
    const silent = [...this.#peers].filter(([, path]) => isBroken(path));
    const all = silent.length > 0 && silent.length === this.#peers.size;
    const said = silent.map(
      ([peer, { error }]) => `nothing arrives by way of ${peer}${error === '' ? '' : `: ${error}`}`,
    );
    const own = isBroken(this.#own);
    const broken = own ? ['a probe published here does not reach its session'] : [];
    if (all) broken.push(...said);
    return {
      broken,
      degraded: all ? [] : said,
      paths: [
        { path: 'own', delivers: !own },
        ...[...this.#peers].map(([path, one]) => ({ path, delivers: !isBroken(one) })),
      ],
    };
  }

  #turn(): void {
    if (this.#stopped) return;
    const { runtime, everyMs, livePeers, publishHere } = this.#options;
    this.#timer = runtime.timers.after(everyMs, () => this.#turn());
    const live = new Set(livePeers());
    for (const peer of this.#peers.keys()) if (!live.has(peer)) this.#peers.delete(peer);
    this.#tellBroken();
    this.#number += 1;
    this.#own.tries += 1;
    publishHere(`${this.#number} own`);
    for (const peer of live) this.#tryPeer(peer);
  }

  #tellBroken(): void {
    const { runtime, brokenAfterMs, onBroken } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    for (const [peer, path] of [[undefined, this.#own] as const, ...this.#peers]) {
      if (path.told || !path.isBroken(nowMs, brokenAfterMs)) continue;
      path.told = true;
      onBroken?.(peer, path.error);
    }
  }

  #tryPeer(peer: MemberId): void {
    const { runtime, publishAt } = this.#options;
    let path = this.#peers.get(peer);
    if (!path) this.#peers.set(peer, (path = new Path(runtime.clock.monotonicMs())));
    path.tries += 1;
    publishAt(peer, `${this.#number} ${peer}`).catch((error: unknown) => {
      const { code, message } = error as { code?: string; message?: string };
      path.error = message ?? String(error);
      // A peer of an older release cannot be asked: that says nothing of delivery.
      if (code === 'unknown-method') path.tries = 0;
    });
  }
}
