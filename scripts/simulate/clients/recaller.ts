import type { ChannelKey } from '../../../src/core/ids.ts';
import { decodeMessage, type Message } from '../../../src/core/kinds/message.ts';
import { RECALL } from '../../../src/core/row.ts';
import { messageKey, splitRowKey, type RowKey } from '../../../src/core/row-key.ts';
import type { Delivery } from '../../../src/messaging/port.ts';
import { sendKeyOf, type Sending } from '../model/message-truth.ts';
import type { KnownWrite } from '../model/write-registry.ts';
import type { Simulation } from '../simulation.ts';
import type { SeededRandom } from '../world/random.ts';
import type { SimulatedSession } from './session.ts';

/** Of the newest messages one is chosen, so that some nodes have not seen it yet. */
const NEWEST = 20;

/**
 * Senders who take messages back through any node. Draws from a stream of its own and is off by default:
 * seeds of before give the trace that they gave.
 */
export class SimulatedRecaller {
  readonly #sim: Simulation;
  readonly #random: SeededRandom;
  readonly #pauseMs: number;
  #quiet = false;

  constructor(sim: Simulation, options: { pauseMs: number }) {
    this.#sim = sim;
    this.#pauseMs = options.pauseMs;
    this.#random = sim.world.random.fork('recaller');
  }

  start(): void {
    this.#sim.world.after(1 + this.#random.exponential(this.#pauseMs), 'a sender recalls', () => {
      if (!this.#quiet) this.#recall();
      this.start();
    });
  }

  fallQuiet(): void {
    this.#quiet = true;
  }

  #recall(): void {
    const sendings = this.#sim.messages.acknowledged().slice(-NEWEST);
    const run = this.#sim.pickRun(this.#random);
    if (!run || sendings.length === 0) return;
    const sending = this.#random.pick(sendings);
    run.process.after(this.#random.between(0, 4), `${sending.clientMsgNo} is recalled`, () => {
      const recalls = run.core?.services.recalls;
      if (!recalls) return;
      const { channel, sender, clientMsgNo } = sending;
      const { messageId } = sending.result!;
      const request = { channel, messageId, clientMsgNo, sender, by: sender } as const;
      if (sending.recall === 'none') sending.recall = 'called';
      void recalls.recall({ ...request, as: 'user', reason: '' }).then((outcome) => {
        if (run.process.state === 'dead') return;
        if (!outcome.ok || sending.recall === 'lost') return;
        sending.recall = 'acknowledged';
      });
    });
  }
}

/** The command that tells clients of a recall: no message that anyone sent, and stored nowhere. */
export function isNotice({ message, written }: Delivery): boolean {
  return written === undefined && message.clientMsgNo.startsWith('recall-');
}

/** A node that knows of the recall hands the text to nobody, live or by a replay. */
export function checkNotRecalled(
  sim: Simulation,
  session: SimulatedSession,
  { channel, message, written }: Delivery,
): void {
  if (!written) return;
  const key = messageKey(channel, message.messageSeq, written.actor);
  if (!sim.node(session.member).run?.recalled.has(key)) return;
  const who = `session ${session.id} of ${session.uid} at ${session.member}`;
  sim.findings.report(13, `${who} got ${channel} ${message.messageSeq}, which is recalled there`);
}

/** After heal a recalled message has no text anywhere, whichever copy of it was recalled. */
export function checkTombstone(
  sim: Simulation,
  sending: Sending,
  row: { readonly key: RowKey; readonly message: Message; readonly name: string },
): boolean {
  const { key, message, name } = row;
  const isEmpty = message.recall !== undefined && message.payload.length === 0;
  if (sending.recall === 'acknowledged' && !sending.mayBeLost && !isEmpty) {
    sim.findings.report(13, `${JSON.stringify(key)} is recalled and has its text at ${name}`);
  }
  return isEmpty && sending.recall !== 'none';
}

/** The write of a recall has gone with the only disk that held it: the text may live. */
export function onRecallLost(sim: Simulation, { key, entry }: KnownWrite): void {
  if (key[0] !== 'm' || entry.tag !== RECALL) return;
  const message = decodeMessage(entry.value);
  const channel = splitRowKey(key)!.parts[0] as ChannelKey;
  if (!message) return;
  const sending = sim.messages.get(sendKeyOf(channel, message.fromUid, message.clientMsgNo));
  if (sending) sending.recall = 'lost';
}
