import type { ChannelKey, Uid } from '../../../src/core/ids.ts';
import { floorOf } from '../../../src/core/kinds/floor.ts';
import { decodeMessage } from '../../../src/core/kinds/message.ts';
import type { Row } from '../../../src/core/row.ts';
import { floorKey, splitRowKey, type RowKey } from '../../../src/core/row-key.ts';
import { checkTombstone } from '../clients/recaller.ts';
import { sendKeyOf, type Sending } from '../model/message-truth.ts';
import { floorAt } from '../model/retention.ts';
import type { Simulation } from '../simulation.ts';

/** Invariant 13, first half: every acknowledged message is on every replica, once. */
export function checkStored(sim: Simulation, tables: ReadonlyMap<string, Map<RowKey, Row>>): void {
  for (const [name, table] of tables) {
    const copies = new Map<string, number>();
    for (const [key, row] of table) {
      if (key[0] !== 'm') continue;
      const channel = splitRowKey(key)!.parts[0] as ChannelKey;
      const message = row[0] && decodeMessage(row[0].value);
      if (!message) {
        sim.findings.report(13, `${JSON.stringify(key)} at ${name} is no message`);
        continue;
      }
      const sendKey = sendKeyOf(channel, message.fromUid, message.clientMsgNo);
      copies.set(sendKey, (copies.get(sendKey) ?? 0) + 1);
      if (message.messageSeq <= floorIn(table, channel)) {
        sim.findings.report(13, `${JSON.stringify(key)} at ${name} is below the floor`);
      }
      const sending = sim.messages.get(sendKey);
      if (sending && checkTombstone(sim, sending, { key, message, name })) continue;
      if (!sending || Buffer.compare(sending.payload, message.payload) !== 0) {
        sim.findings.report(13, `${sendKey} at ${name} is not what was sent`);
      }
    }
    for (const [sendKey, sending] of sim.messages.all()) {
      if (!sending.result || sending.mayBeLost) continue;
      const count = copies.get(sendKey) ?? 0;
      if (count === 0 && sending.result.messageSeq <= floorIn(table, sending.channel)) continue;
      if (count >= 1 && count <= sending.attempts) continue;
      sim.findings.report(13, `${sendKey} is stored ${count} times at ${name}`);
    }
  }
}

/** Invariant 13, second half: it reached every session that was there to receive it, once. */
export function checkDelivered(sim: Simulation): void {
  for (const session of sim.sessions) {
    if (!session.open || session.attachedMs === undefined) continue;
    for (const [sendKey, sending] of sim.messages.all()) {
      if (!sending.result || sending.mayBeLost || sending.recall !== 'none') continue;
      if (session.received.has(sendKey) || sending.senderSessions.has(session.id)) continue;
      if (session.attachedMs >= sending.calledMs) continue;
      if (!isOwed(sim, sending, session)) continue;
      const node = sim.node(session.member);
      // What came when it was cut already is told to nobody.
      if (isCut(sim, sending) && !node.run?.heard.has(sendKey)) continue;
      const who = `session ${session.id} of ${session.uid} at ${session.member}`;
      sim.findings.report(13, `${who} never got ${sendKey}, sent at ${sending.calledMs}`);
    }
  }
}

/** Invariant 13, of who comes back: it reached who resumes, in that session or in one of the next. */
export function checkResumed(sim: Simulation): void {
  for (const { place, session, uid } of sim.clients) {
    if (!place || session?.attachedMs === undefined) continue;
    for (const [sendKey, sending] of sim.messages.all()) {
      if (!sending.result || sending.mayBeLost || sending.sender === uid) continue;
      // What is cut meanwhile is left out.
      if (sending.recall !== 'none' || isCut(sim, sending)) continue;
      if (sending.calledMs <= place.sinceMs || place.has(sendKey)) continue;
      if (!sim.nodes.every(({ id: member }) => isOwed(sim, sending, { uid, member }))) continue;
      sim.findings.report(13, `${uid} never got ${sendKey}, sent at ${sending.calledMs}`);
    }
  }
}

function floorIn(table: ReadonlyMap<RowKey, Row>, channel: ChannelKey): number {
  return floorOf(table.get(floorKey(channel)) ?? [])?.seq ?? 0;
}

function isCut(sim: Simulation, { channel, result }: Sending): boolean {
  return sim.nodes.some((node) => (result?.messageSeq ?? Infinity) <= floorAt(node, channel));
}

function isOwed(
  sim: Simulation,
  sending: Sending,
  session: { readonly uid: Uid; readonly member: string },
): boolean {
  if (sim.isContested(sending.channel, session.uid)) return false;
  const pair = sim.subscriptions.find(sending.channel, session.uid);
  return pair?.routedSince(sim.node(session.member).id, sending.calledMs) ?? false;
}
