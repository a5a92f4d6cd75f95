import type { ChannelKey, MemberId, Uid } from '../../../src/core/ids.ts';
import { messageKey, subscriptionKey } from '../../../src/core/row-key.ts';
import type { SubscriptionResult } from '../../../src/messaging/port.ts';
import type { NodeCore } from '../../../src/node/core.ts';
import type { NodeRun } from '../cluster/node.ts';
import type { Sending } from '../model/message-truth.ts';
import type { Simulation } from '../simulation.ts';

/** The members that an acknowledgement says route by a change. */
export function knownBy(
  sim: Simulation,
  run: NodeRun,
  answer: { outcome: SubscriptionResult; calledMs: number },
): MemberId[] {
  const { reached, missing } = answer.outcome;
  const members = [run.node.id];
  if (reached !== 'all') return members;
  for (const node of sim.nodes) {
    if (node === run.node || missing.includes(node.id)) continue;
    const other = node.run;
    // One that was started or rebuilt since the call may have forgotten what it had confirmed.
    if (!other?.core || other.startedMs >= answer.calledMs) continue;
    if (!run.core?.replicator.peers().some((peer) => peer.member === node.id && peer.live))
      continue;
    members.push(node.id);
  }
  return members;
}

/** Invariant 3, and 6 for removals: what was acknowledged is visible where the answer says it is. */
export function checkReached(
  sim: Simulation,
  run: NodeRun,
  check: {
    core: NodeCore;
    channel: ChannelKey;
    uid: Uid;
    by: readonly MemberId[];
    subscribed: boolean;
  },
): void {
  const { channel, uid, subscribed } = check;
  if (sim.isContested(channel, uid)) return;
  const invariant = subscribed ? 3 : 6;
  const what = `${uid} on ${channel}, acknowledged as ${subscribed ? 'in' : 'out'}`;
  for (const member of check.by) {
    const core = member === run.node.id ? check.core : sim.node(member).run?.core;
    if (sim.damage.excuses(sim.node(member), subscriptionKey(channel, uid))) continue;
    if (!core || core.services.subscriptions.isSubscribed(channel, uid) === subscribed) continue;
    sim.findings.report(invariant, `${what} by ${run.node.id}, is not so at ${member}`);
  }
}

/** A message that was acknowledged with two disks is on two. */
export function checkDisks(sim: Simulation, sending: Sending, run: NodeRun): void {
  const { disks, messageSeq } = sending.result!;
  if (disks < 2 || !run.core) return;
  const key = messageKey(sending.channel, messageSeq, run.core.replica.actor);
  const [write] = sim.registry.writesOf(key);
  if (!write) return;
  const holders = sim.nodes.filter((node) => {
    // It may have confirmed the message before its disk was destroyed.
    if (node.diskLostMs >= sending.calledMs) return true;
    const { actor, shard, counter } = write.dot;
    return node.vectorOnDisk().covers(actor, shard, counter);
  });
  if (holders.length < 2) {
    const where = holders.map((node) => node.id).join() || 'none';
    sim.findings.report(13, `${sending.clientMsgNo}: acknowledged with 2 disks, is on ${where}`);
  }
}
