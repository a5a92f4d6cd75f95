import type { ExecutionContext } from 'ava';
import type { Tuning } from '../../scripts/simulate/cluster/tuning.ts';
import { isConverged } from '../../scripts/simulate/checks/convergence.ts';
import { PLAIN } from '../../scripts/simulate/clients/client.ts';
import { SimulatedSession } from '../../scripts/simulate/clients/session.ts';
import type { SimulatedNode } from '../../scripts/simulate/cluster/node.ts';
import { checkEnd } from '../../scripts/simulate/run.ts';
import { Simulation } from '../../scripts/simulate/simulation.ts';
import type { Dot } from '../../src/core/dot.ts';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import type { Outcome } from '../../src/core/reason-code.ts';
import type { PublishResult, SubscriptionResult, WaitFor } from '../../src/messaging/port.ts';
import type { NodeCore } from '../../src/node/core.ts';

export const CHANNEL = '2/news' as ChannelKey;

export interface ScenarioOptions {
  readonly seed?: number;
  readonly nodes?: number;
  readonly tuning?: Tuning;
}

/** A cluster without clients of its own, driven step by step in virtual time. */
export class Scenario {
  readonly sim: Simulation;
  readonly #t: ExecutionContext;

  constructor(t: ExecutionContext, options: ScenarioOptions = {}) {
    this.#t = t;
    const print = process.env['TRACE'] ? (line: string): void => console.log(line) : undefined;
    const { seed = 1, nodes = 3, tuning } = options;
    this.sim = new Simulation({ seed, nodes, clients: 0, channels: 0, tuning, print });
  }

  static async start(t: ExecutionContext, options?: ScenarioOptions): Promise<Scenario> {
    const scenario = new Scenario(t, options);
    for (const node of scenario.sim.nodes) node.start();
    await scenario.converge();
    return scenario;
  }

  /** The node with this number, from 1. */
  node(number: number): SimulatedNode {
    return this.sim.nodes[number - 1]!;
  }

  core(number: number): NodeCore {
    const { core } = this.node(number);
    if (!core) throw new Error(`node ${number} does not run`);
    return core;
  }

  run(durationMs: number): Promise<void> {
    return this.sim.world.run(durationMs);
  }

  /** Runs until every node has the same table, at most 30 virtual seconds. */
  async converge(): Promise<void> {
    const equal = await this.sim.world.runUntil(() => isConverged(this.sim), 30_000);
    if (!equal) this.#t.fail('the nodes are not equal after 30 virtual seconds');
  }

  async subscribe(number: number, uid: string, waitFor: WaitFor = 'all'): Promise<Dot> {
    const request = { channel: CHANNEL, uids: [uid as Uid], cause: 'client', waitFor } as const;
    const { subscriptions } = this.core(number).services;
    const result = await this.#value<SubscriptionResult>(subscriptions.subscribe(request));
    return result.receipts[0]!;
  }

  async unsubscribe(
    number: number,
    uid: string,
    receipts: readonly Dot[] = [],
  ): Promise<SubscriptionResult> {
    const who = { channel: CHANNEL, uids: [uid as Uid], receipts } as const;
    const { subscriptions } = this.core(number).services;
    return this.#value(subscriptions.unsubscribe({ ...who, cause: 'client', waitFor: 'all' }));
  }

  /** Publishes `text` under itself as client message number. */
  async publish(number: number, text: string): Promise<PublishResult> {
    const sender = 'sender' as Uid;
    const payload = new TextEncoder().encode(text);
    const sending = this.sim.messages.add({
      channel: CHANNEL,
      sender,
      clientMsgNo: text,
      payload,
      calledMs: this.sim.world.nowMs,
    });
    sending.attempts = 1;
    const { publisher } = this.core(number).services;
    const request = { ...PLAIN, channel: CHANNEL, sender, clientMsgNo: text, payload };
    const result = await this.#value<PublishResult>(publisher.publish(request));
    sending.result = result;
    return result;
  }

  /** Opens a session of `uid` on the node. */
  async connect(number: number, uid: string): Promise<SimulatedSession> {
    const { sim } = this;
    const node = this.node(number);
    const session = new SimulatedSession({
      id: sim.nextSessionId(),
      uid: uid as Uid,
      member: node.id,
      nowMs: () => sim.world.nowMs,
      onDelivered: (to, delivery) => sim.onDelivered(to, delivery),
      onKicked: () => {},
    });
    node.run!.fanout.sessions.add(session);
    await sim.world.runFor(this.core(number).services.sessions.attach(session), 5_000);
    return session;
  }

  isSubscribed(number: number, uid: string): boolean {
    return this.core(number).services.subscriptions.isSubscribed(CHANNEL, uid as Uid);
  }

  /** What the session was given, in the order of arrival, without the senders' names. */
  received(session: SimulatedSession): string[] {
    return [...session.received.keys()].map((sendKey) => sendKey.split(' ').slice(2).join(' '));
  }

  block(from: number, to: number): void {
    this.sim.network.block(this.node(from).id, this.node(to).id);
  }

  unblock(from: number, to: number): void {
    this.sim.network.unblock(this.node(from).id, this.node(to).id);
  }

  /** Cuts one node off from all others, both ways. */
  isolate(number: number): void {
    for (const { member } of this.sim.nodes) {
      if (member.slot + 1 === number) continue;
      this.block(number, member.slot + 1);
      this.block(member.slot + 1, number);
    }
  }

  /** Everything is equal, and no check of the simulator finds anything. */
  async end(): Promise<void> {
    await this.converge();
    await checkEnd(this.sim);
    this.#t.deepEqual(this.sim.findings.list, []);
  }

  async #value<Value>(call: Promise<Outcome<Value>>): Promise<Value> {
    const outcome = await this.sim.world.runFor(call, 10_000);
    if (!outcome.ok) throw new Error(`refused: ${outcome.code} ${outcome.message}`);
    return outcome.value;
  }
}
