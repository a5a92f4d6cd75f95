import type { Dot } from '../../../src/core/dot.ts';
import type { Uid } from '../../../src/core/ids.ts';
import { shardOf } from '../../../src/core/placement.ts';
import type { Delivery } from '../../../src/messaging/port.ts';
import type { NodeCore } from '../../../src/node/core.ts';
import { vectorOf } from '../checks/effects.ts';
import { sendKeyOf } from '../model/message-truth.ts';
import type { Simulation } from '../simulation.ts';
import type { SeededRandom } from '../world/random.ts';
import type { SimulatedSession } from './session.ts';

/** Of ten calls that end well, so many are followed by a heartbeat. */
const HEARTBEATS_IN_TEN = 3;

/**
 * Where a client that resumes is, over all of its sessions: what the JavaScript client keeps. Invariant 13,
 * for those who come back: no message twice, and none lost since the first token.
 */
export class ClientPlace {
  readonly #sim: Simulation;
  readonly #uid: Uid;
  readonly #random: SeededRandom;
  #token = '';
  /** Messages since the token, by their ids, and where they were written. */
  readonly #since = new Map<string, Dot | undefined>();
  /**
   * Ids that a token or the list beside it has named: these may not come again. What a node delivers
   * before its own vector has it (its disk fails, or the vector has too many gaps) may: the client drops
   * that by its memory.
   */
  readonly #named = new Set<string>();
  readonly #keys = new Set<string>();
  /** From here on nothing may be lost. Virtual ms. */
  sinceMs = Number.POSITIVE_INFINITY;

  constructor(sim: Simulation, uid: Uid) {
    this.#sim = sim;
    this.#uid = uid;
    this.#random = sim.world.random.fork(`place of ${uid}`);
  }

  /** Has come to the application, in one session or another. */
  has(sendKey: string): boolean {
    return this.#keys.has(sendKey);
  }

  heard(session: SimulatedSession, { channel, message, written }: Delivery): void {
    const { messageId, messageSeq, fromUid, clientMsgNo } = message;
    if (messageSeq === 0) return;
    const id = String(messageId);
    // Within one session the order is checked already, and with it that nothing comes twice.
    if (this.#named.has(id) && !session.messageIds.has(`${channel} ${id} ${messageSeq}`)) {
      const what = `${channel} ${id} as ${messageSeq}`;
      const who = `session ${session.id} of ${session.uid} at ${session.member}`;
      this.#sim.findings.report(13, `${who} got ${what}, which it had said that it has`);
    }
    this.#keys.add(sendKeyOf(channel, fromUid, clientMsgNo));
    this.#since.set(id, written && { ...written, shard: shardOf(channel) });
  }

  /** In the tick in which the session joins what it has to join. */
  goOn(core: NodeCore, session: SimulatedSession): void {
    const resumes = core.services.resumes!;
    if (this.#token !== '') {
      const request = { uid: this.#uid, token: this.#token, seen: [...this.#since.keys()] };
      for (const id of request.seen) this.#named.add(id);
      const plan = resumes.resume(request);
      session.resumedFrom = plan.from;
      const cut = plan.snapshot ?? plan.channels.some(([, { status }]) => status === 'snapshot');
      // It would read the history: nothing is promised of what was before.
      if (cut) this.#beginAnew();
      session.isReplaying = true;
      this.#replay(session, plan.deliveries);
      for (const [channel, how] of plan.channels) {
        if (how.status !== 'paged') continue;
        for (let cursor = how.cursor, page = 0; page === 0 || cursor !== ''; page++) {
          const found = resumes.page({ ...request, channel, cursor });
          this.#replay(session, found?.deliveries ?? []);
          cursor = found?.next ?? '';
        }
      }
      session.isReplaying = false;
      session.filter = plan.filter;
    }
    session.isWaiting = false;
    if (!session.filter) this.#renew(core);
  }

  /** What was missed in a channel comes in the channel's order. */
  #replay(session: SimulatedSession, deliveries: readonly Delivery[]): void {
    let before: Delivery | undefined;
    for (const delivery of deliveries) {
      const { channel, message } = delivery;
      if (before?.channel === channel && before.message.messageSeq > message.messageSeq) {
        const text = `session ${session.id} was replayed ${channel} ${message.messageSeq} too late`;
        this.#sim.findings.report(13, text);
      }
      before = delivery;
      session.receive(delivery);
    }
  }

  /** With the answer to a call: it came after everything that was sent before. */
  answered(core: NodeCore, session: SimulatedSession): void {
    if (this.#random.uint32() % 10 >= HEARTBEATS_IN_TEN || !session.open) return;
    if (session.filter?.isDone()) session.filter = undefined;
    // A node gives none to a socket that lacks a topic; an altered index shows in the digest.
    if (!session.isWaiting && !session.filter && !this.#sim.layers.isOpen())
      this.#renew(core, session);
  }

  /** What it has may come once more, and what it has not may never: it was told so. */
  #beginAnew(): void {
    this.sinceMs = this.#sim.world.nowMs;
    this.#named.clear();
  }

  #renew(core: NodeCore, session?: SimulatedSession): void {
    if (session) {
      for (const channel of core.routing.channelsOf(this.#uid)) {
        if (!session.topics.has(channel)) return;
      }
    }
    const token = core.services.resumes!.token(this.#uid);
    if (token === '') return;
    this.#token = token;
    const covered = vectorOf(core.replica.durableVector());
    for (const [id, dot] of this.#since) {
      if (dot && covered.covers(dot.actor, dot.shard, dot.counter)) this.#named.add(id);
    }
    this.#since.clear();
    this.sinceMs = Math.min(this.sinceMs, this.#sim.world.nowMs);
  }
}
