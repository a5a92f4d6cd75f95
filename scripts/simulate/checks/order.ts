import type { ChannelKey } from '../../../src/core/ids.ts';
import type { Message } from '../../../src/core/kinds/message.ts';
import { messageKey } from '../../../src/core/row-key.ts';
import type { Delivery } from '../../../src/messaging/port.ts';
import type { SimulatedSession } from '../clients/session.ts';
import type { Simulation } from '../simulation.ts';

interface Delivered {
  readonly channel: ChannelKey;
  readonly message: Message;
  readonly sendKey: string;
  readonly written: Delivery['written'];
}

/**
 * Invariant 13, order: a session gets the messages of a channel and an origin in the order in which its
 * node learned of them, live or by a replay, and no stored message twice, whatever was sent again. Not
 * across origins: while a disk fails, what peers have on theirs goes out ahead of a node's own.
 */
export function checkOrder(
  sim: Simulation,
  session: SimulatedSession,
  { channel, message, sendKey, written }: Delivered,
): void {
  const { messageSeq, messageId } = message;
  if (messageSeq === 0) return;
  const who = `session ${session.id} of ${session.uid} at ${session.member}`;
  const id = `${channel} ${messageId} ${messageSeq}`;
  if (session.messageIds.has(id)) {
    sim.findings.report(13, `${who} got ${sendKey} twice, as message ${messageSeq}`);
    return;
  }
  session.messageIds.add(id);
  // A replay may bring what an earlier run of the node learned.
  const key = written && messageKey(channel, messageSeq, written.actor);
  const learned = (key && sim.node(session.member).run?.learned.get(key)) ?? -1;
  const origin = `${channel} ${messageSeq % sim.slots}`;
  const last = session.lastLearned.get(origin) ?? -1;
  // What was missed comes in the order of the channel, whenever the node learned of it.
  if (learned < last && !session.isReplaying) {
    sim.findings.report(13, `${who} got ${sendKey} after what its node learned later`);
  }
  session.lastLearned.set(origin, Math.max(last, learned));
}
