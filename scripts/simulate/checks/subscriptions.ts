import { isLive } from '../../../src/core/row.ts';
import type { ChannelKey, Uid } from '../../../src/core/ids.ts';
import { denyKey, splitRowKey } from '../../../src/core/row-key.ts';
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
      for (const channel of channelsOf(sim, session.uid)) {
        const banned = isLive(core.replica.read(denyKey(channel, session.uid, 'ban')));
        const row = core.services.subscriptions.isSubscribed(channel, session.uid);
        if (session.topics.has(channel) === (row && !banned)) continue;
        const has = session.topics.has(channel) ? 'is in' : 'is not in';
        sim.findings.report(7, `a session of ${session.uid} at ${node.id} ${has} ${channel}`);
      }
    }
  }
}

/** Every channel to which anyone ever subscribed the user. */
function channelsOf(sim: Simulation, uid: Uid): Set<ChannelKey> {
  const channels = new Set<ChannelKey>();
  for (const key of sim.registry.keys()) {
    if (key[0] !== 's') continue;
    const [channel, user] = splitRowKey(key)!.parts;
    if (user === uid) channels.add(channel as ChannelKey);
  }
  return channels;
}
