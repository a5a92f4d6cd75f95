import type { Dot } from '../../../src/core/dot.ts';
import type { ChannelKey, MemberId, Uid } from '../../../src/core/ids.ts';
import type { WaitFor } from '../../../src/messaging/port.ts';
import type { NodeRun } from '../cluster/node.ts';
import { knownBy, checkReached } from '../checks/acknowledgement.ts';
import type { Simulation } from '../simulation.ts';
import type { SeededRandom } from '../world/random.ts';
import type { Sending } from '../model/message-truth.ts';
import { ClientPlace } from './place.ts';
import { SimulatedSession } from './session.ts';
import type { NodeCore } from '../../../src/node/core.ts';

const ANSWER_TIMEOUT_MS = 7_000;
const ATTEMPTS_MAX = 3;

/** How a client sends what has no marks. */
export const PLAIN = {
  cause: 'client',
  noPersist: false,
  redDot: false,
  syncOnce: false,
  setting: 0,
  topic: '',
  expire: 0,
} as const;

/** `call` runs inside the process; `onSettled` when it was answered, or when nobody waits any more. */
interface Call {
  readonly what: string;
  readonly run: NodeRun;
  readonly call: (core: NodeCore, hasGivenUp: () => boolean) => Promise<void>;
  readonly onSettled?: () => void;
}

/**
 * One user with one device: connects to a node, subscribes, unsubscribes, publishes, one call after the
 * other, and goes elsewhere when its node dies or does not answer.
 */
export class SimulatedClient {
  readonly uid: Uid;
  readonly #sim: Simulation;
  readonly #random: SeededRandom;
  readonly #pauseMs: number;
  /** Of those that resume; the others begin anew with each connection. */
  readonly place: ClientPlace | undefined;
  #session: SimulatedSession | undefined;
  #run: NodeRun | undefined;
  #busy = false;
  #quiet = false;
  #sent = 0;

  constructor(sim: Simulation, options: { uid: Uid; pauseMs: number }) {
    this.#sim = sim;
    this.uid = options.uid;
    this.#pauseMs = options.pauseMs;
    this.#random = sim.world.random.fork(`client ${options.uid}`);
    const resumes = sim.world.random.fork(`resumes ${options.uid}`).chance(0.5);
    this.place = resumes ? new ClientPlace(sim, options.uid) : undefined;
  }

  get session(): SimulatedSession | undefined {
    return this.#session?.open ? this.#session : undefined;
  }

  /** Connected, and no call is open. */
  get isSettled(): boolean {
    return !this.#busy && this.session?.attachedMs !== undefined;
  }

  start(): void {
    this.#later(() => this.#act());
  }

  /** Calls nothing any more but reconnects where its session has gone. */
  fallQuiet(): void {
    this.#quiet = true;
  }

  /** Publishes one message on its channel and waits for no one. */
  publishNow(channel: ChannelKey): void {
    this.#publish(channel);
  }

  #later(task: () => void): void {
    const delayMs = 1 + this.#random.exponential(this.#pauseMs);
    this.#sim.world.after(delayMs, `${this.uid} acts`, task);
  }

  #act(): void {
    this.#later(() => this.#act());
    if (this.#busy) return;
    if (!this.session) {
      this.#connect();
      return;
    }
    if (this.#quiet || this.#sim.spared.has(this.#run!.node)) return;
    const channel = this.#random.pick(this.#sim.channels);
    this.#random.pickWeighted([
      [30, () => this.#subscribe(channel)],
      [15, () => this.#unsubscribe(channel)],
      [50, () => this.#publish(channel)],
      [3, () => this.#leave()],
    ])();
  }

  #connect(): void {
    const run = this.#sim.pickRun(this.#random);
    if (!run) return;
    const { world } = this.#sim;
    const session = new SimulatedSession({
      id: this.#sim.nextSessionId(),
      uid: this.uid,
      member: run.node.id,
      nowMs: () => world.nowMs,
      onDelivered: (to, delivery) => {
        // What its node sends before it has noticed that the socket is gone comes to nobody.
        if (to.open) this.place?.heard(to, delivery);
        this.#sim.onDelivered(to, delivery);
      },
      onKicked: (kicked) => this.#drop(kicked),
    });
    this.#session = session;
    this.#run = run;
    this.#sim.sessions.push(session);
    this.#call({
      what: 'connects',
      run,
      call: async (core) => {
        run.fanout.sessions.add(session);
        session.isWaiting = this.place !== undefined;
        if (this.place) await core.services.resumes!.ready();
        await core.services.sessions.attach(session);
        session.attachedMs = world.nowMs;
        if (session.open) this.place?.goOn(core, session);
      },
    });
  }

  #leave(): void {
    this.#drop(this.#session!);
  }

  /** The node notices a little later: after the next session may have come (F24). */
  #drop(session: SimulatedSession): void {
    if (!session.open) return;
    session.open = false;
    const run = this.#run!;
    if (this.#session === session) this.#session = undefined;
    run.process.after(this.#random.between(0, 300), `${this.uid} has left`, () => {
      run.fanout.sessions.delete(session);
      run.core?.services.sessions.detach(session);
    });
  }

  #subscribe(channel: ChannelKey): void {
    const pair = this.#sim.subscriptions.pair(channel, this.uid);
    const waitFor = this.#random.pick<WaitFor>(['all', 'all', 'local', 'quorum']);
    const run = this.#run!;
    const calledMs = this.#now;
    let answered = false;
    const undo = pair.subscribeCalled();
    this.#call({
      what: `subscribes ${channel}`,
      run,
      call: async (core, hasGivenUp) => {
        const request = { channel, uids: [this.uid], cause: 'client', waitFor } as const;
        const outcome = await core.services.subscriptions.subscribe(request);
        if (run.process.state === 'dead' || hasGivenUp()) return;
        answered = true;
        if (!outcome.ok) {
          undo();
          return;
        }
        const by = knownBy(this.#sim, run, { outcome: outcome.value, calledMs });
        const [receipt] = outcome.value.receipts;
        pair.subscribed({ receipt: receipt!, at: run.node.id, knownBy: by, nowMs: this.#now });
        checkReached(this.#sim, run, { core, channel, uid: this.uid, by, subscribed: true });
      },
      onSettled: () => {
        if (!answered) pair.subscribeUnanswered();
      },
    });
  }

  #unsubscribe(channel: ChannelKey): void {
    const pair = this.#sim.subscriptions.pair(channel, this.uid);
    const waitFor = this.#random.pick<WaitFor>(['all', 'all', 'local']);
    const run = this.#run!;
    const calledMs = this.#now;
    const known = this.#sim.presentsAll ? pair.allReceipts() : pair.receipts();
    const receipts = this.#random.chance(0.6) ? known : [];
    const undo = pair.unsubscribeCalled();
    this.#call({
      what: `unsubscribes ${channel}`,
      run,
      call: async (core, hasGivenUp) => {
        const request = { channel, uids: [this.uid], cause: 'client', waitFor, receipts } as const;
        const outcome = await core.services.subscriptions.unsubscribe(request);
        if (run.process.state === 'dead' || hasGivenUp()) return;
        if (!outcome.ok) {
          undo();
          return;
        }
        const by = knownBy(this.#sim, run, { outcome: outcome.value, calledMs });
        const at = run.node.id;
        const hasSeen = (member: MemberId, { actor, shard, counter }: Dot): boolean =>
          this.#sim.node(member).hasSeen({ actor, shard, from: counter, to: counter });
        const answer = { presented: receipts, at, knownBy: by, nowMs: this.#now, hasSeen };
        pair.unsubscribed(answer);
        if (pair.expected !== 'out') return;
        checkReached(this.#sim, run, { core, channel, uid: this.uid, by, subscribed: false });
      },
    });
  }

  #publish(channel: ChannelKey): void {
    this.#sent += 1;
    const clientMsgNo = `${this.uid}-${this.#sent}`;
    const sending = this.#sim.messages.add({
      channel,
      sender: this.uid,
      clientMsgNo,
      payload: new TextEncoder().encode(`${clientMsgNo} says ${this.#random.uint32()}`),
      calledMs: this.#now,
    });
    this.#attempt(sending);
  }

  #attempt(sending: Sending): void {
    const [session, run] = [this.session, this.#run];
    if (!session || !run) return;
    sending.attempts += 1;
    sending.senderSessions.add(session.id);
    const { channel, sender, clientMsgNo, payload } = sending;
    this.#call({
      what: `publishes on ${channel}`,
      run,
      call: async (core, hasGivenUp) => {
        const request = { ...PLAIN, channel, sender, clientMsgNo, payload };
        const outcome = await core.services.publisher.publish({
          ...request,
          exceptSession: session.id,
        });
        if (run.process.state === 'dead' || hasGivenUp() || !outcome.ok) return;
        sending.result = outcome.value;
        this.#sim.onPublished(sending, run);
      },
      onSettled: () => {
        if (!sending.result && sending.attempts < ATTEMPTS_MAX) this.#retry(sending);
      },
    });
  }

  #retry(sending: Sending): void {
    this.#sim.world.after(500, `${this.uid} tries again`, () => {
      if (!this.#busy) this.#attempt(sending);
    });
  }

  get #now(): number {
    return this.#sim.world.nowMs;
  }

  /**
   * A call to a node over a client's network: a delay, then the call inside the process, then at most
   * ANSWER_TIMEOUT_MS until the client gives up and drops the session.
   */
  #call({ what, run, call, onSettled }: Call): void {
    const { world } = this.#sim;
    const session = this.#session;
    let settled = false;
    this.#busy = true;
    const settle = (answered: boolean): void => {
      if (settled) return;
      settled = true;
      this.#busy = false;
      patience.cancel();
      if (!answered && session) this.#drop(session);
      onSettled?.();
    };
    const patience = world.after(ANSWER_TIMEOUT_MS, `${this.uid} gives up`, () => settle(false));
    run.process.after(this.#random.between(0, 4), `${this.uid} ${what}`, () => {
      if (!run.core) return;
      call(run.core, () => settled).then(
        () => {
          if (run.process.state === 'dead') return;
          if (session && run.core) this.place?.answered(run.core, session);
          settle(true);
        },
        (error: unknown) => {
          const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
          this.#sim.findings.report(0, `${this.uid} ${what} at ${run.node.id}: ${text}`);
          settle(false);
        },
      );
    });
  }
}
