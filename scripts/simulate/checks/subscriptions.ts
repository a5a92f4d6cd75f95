import { isLive } from '../../../src/core/row.ts';
import { denyKey } from '../../../src/core/row-key.ts';
import type { Simulation } from '../simulation.ts';

/** Invariants 3, 4, 5 and 6 as a user sees them, on every node, after heal. */
export function checkUsers(sim: Simulation): void {
  for (const node of sim.nodes) {
    const { core } = node;
    if (!core) continue;
    for (const pair of sim.subscriptions.pairs()) {
      if (sim.isContested(pair.channel, pair.uid) || pair.expected === 'unknown') continue;
      const { channel, uid, expected } = pair;
      if (core.services.subscriptions.isSubscribed(channel, uid) === (expected === 'in')) continue;
      const text = `${uid} on ${channel} was last acknowledged as ${expected}, is not so`;
      sim.findings.report(expected === 'in' ? 4 : 6, `${text} at ${node.id}`);
    }
    for (const { channel, uid, expected } of sim.bans()) {
      const banned = isLive(core.replica.read(denyKey(channel, uid, 'ban')));
      if (expected !== 'unknown' && banned !== (expected === 'banned')) {
        sim.findings.report(5, `${uid} on ${channel} is to be ${expected}, is not at ${node.id}`);
      }
      if (banned && core.services.subscriptions.isSubscribed(channel, uid)) {
        // A subscribe after the ban is kept; it must not be routed by while the ban lives.
        continue;
      }
    }
  }
}

/** Invariant 7, its second half: the topics of every session are those of its user's rows. */
export function checkTopics(sim: Simulation): void {
  for (const node of sim.nodes) {
    const { core, run } = node;
    if (!core || !run) continue;
    for (const session of run.fanout.sessions) {
      if (!session.open || session.attachedMs === undefined) continue;
      for (const channel of sim.channels) {
        const banned = isLive(core.replica.read(denyKey(channel, session.uid, 'ban')));
        const row = core.services.subscriptions.isSubscribed(channel, session.uid);
        if (session.topics.has(channel) === (row && !banned)) continue;
        const has = session.topics.has(channel) ? 'is in' : 'is not in';
        sim.findings.report(7, `a session of ${session.uid} at ${node.id} ${has} ${channel}`);
      }
    }
  }
}
