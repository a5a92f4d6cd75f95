import type { ChannelKey, Uid } from '../../../src/core/ids.ts';
import type { Simulation } from '../simulation.ts';
import type { SeededRandom } from '../world/random.ts';

export interface Ban {
  readonly channel: ChannelKey;
  readonly uid: Uid;
  expected: 'banned' | 'allowed' | 'unknown';
}

/**
 * A backend that bans and allows, subscribes and removes users by itself, through any node, while the
 * users do as they like: here concurrent writes meet, and only the rows can say who wins.
 */
export class SimulatedBackend {
  readonly #sim: Simulation;
  readonly #random: SeededRandom;
  readonly #pauseMs: number;
  readonly #bans = new Map<string, Ban>();
  readonly #touched = new Set<string>();
  #quiet = false;
  #busy = false;

  constructor(sim: Simulation, options: { pauseMs: number }) {
    this.#sim = sim;
    this.#pauseMs = options.pauseMs;
    this.#random = sim.world.random.fork('backend');
  }

  start(): void {
    this.#later();
  }

  fallQuiet(): void {
    this.#quiet = true;
  }

  bans(): Iterable<Ban> {
    return this.#bans.values();
  }

  /** A write about a ban on the channel is lost: nothing is certain of them any more. */
  doubtBans(channel: ChannelKey): void {
    for (const ban of this.#bans.values()) if (ban.channel === channel) ban.expected = 'unknown';
  }

  hasTouched(channel: ChannelKey, uid: Uid): boolean {
    return this.#touched.has(`${channel} ${uid}`);
  }

  #later(): void {
    const delayMs = 1 + this.#random.exponential(this.#pauseMs);
    this.#sim.world.after(delayMs, 'backend acts', () => {
      if (!this.#quiet) this.#act();
      this.#later();
    });
  }

  #act(): void {
    // The first channel is its own, so that on the others each user alone decides.
    const channel = this.#sim.channels[0]!;
    const { uid } = this.#random.pick(this.#sim.clients);
    this.#touched.add(`${channel} ${uid}`);
    this.#random.pickWeighted([
      [3, () => this.#decide({ channel, uid, banned: true })],
      [3, () => this.#decide({ channel, uid, banned: false })],
      [3, () => this.#subscribe(channel, uid, true)],
      [2, () => this.#subscribe(channel, uid, false)],
    ])();
  }

  #decide({ channel, uid, banned }: { channel: ChannelKey; uid: Uid; banned: boolean }): void {
    const run = this.#sim.pickRun(this.#random);
    if (this.#busy || !run) return;
    this.#busy = true;
    const name = `${channel} ${uid}`;
    const ban: Ban = this.#bans.get(name) ?? { channel, uid, expected: 'allowed' };
    this.#bans.set(name, ban);
    // A ban that was acknowledged stays until an allow that saw it, so a second ban takes nothing away.
    if (!(ban.expected === 'banned' && banned)) ban.expected = 'unknown';
    let givenUp = false;
    const patience = this.#sim.world.after(5_000, 'backend gives up', () => {
      givenUp = true;
      this.#busy = false;
    });
    run.process.after(this.#random.between(0, 4), `backend decides on ${uid}`, () => {
      const directory = run.core?.services.directory;
      if (!directory) return;
      const call = banned
        ? directory.deny(channel, uid, 'ban')
        : directory.allow(channel, uid, 'ban');
      void call.then((outcome) => {
        if (run.process.state === 'dead' || givenUp) return;
        if (outcome.ok && banned) ban.expected = 'banned';
        patience.cancel();
        this.#busy = false;
      });
    });
  }

  #subscribe(channel: ChannelKey, uid: Uid, wanted: boolean): void {
    const run = this.#sim.pickRun(this.#random);
    run?.process.after(this.#random.between(0, 4), `backend changes ${uid}`, () => {
      const subscriptions = run.core?.services.subscriptions;
      if (!subscriptions) return;
      const request = { channel, uids: [uid], cause: 'admin', waitFor: 'local' } as const;
      void (wanted ? subscriptions.subscribe(request) : subscriptions.unsubscribe(request));
    });
  }
}
