import type { ChannelKey } from '../../../src/core/ids.ts';
import { subscriptionKey } from '../../../src/core/row-key.ts';
import type { NodeCore } from '../../../src/node/core.ts';
import { isLinkWell, isWell } from '../checks/calm.ts';
import { vectorOf } from '../checks/effects.ts';
import type { SimulatedSession } from '../clients/session.ts';
import type { NodeRun, SimulatedNode } from '../cluster/node.ts';
import type { DamageState } from '../model/layer-ledger.ts';
import type { Fault, FaultContext } from './fault.ts';

/** Design, section 7. Virtual ms. */
const INDEX_MS = 2_000;
const SOCKETS_MS = 10_000;
const INTEREST_MS = 10_000;
const DELTA_MS = 2_000;
/** With limits that let a pull bring a few writes at a time it takes as long as they say. */
const DELTA_TUNED_MS = 30_000;

interface Joined {
  readonly node: SimulatedNode;
  readonly run: NodeRun;
  readonly core: NodeCore;
  readonly session: SimulatedSession;
  readonly channel: ChannelKey;
}

/** A session in a channel, at a node that is well. */
function pickJoined({ sim, random }: FaultContext): Joined | undefined {
  const places = sim.nodes.flatMap((node) => {
    const { core, run } = node;
    if (!core || !run || !isWell(node)) return [];
    const sessions = [...run.fanout.sessions].filter(
      (session) => session.open && session.attachedMs !== undefined,
    );
    return sessions.flatMap((session) =>
      [...session.topics].map((channel) => ({ node, run, core, session, channel })),
    );
  });
  return places.length > 0 ? random.pick(places) : undefined;
}

/** Whether the core that was damaged still runs, and can repair. */
function stateOfRun({ node, run, core }: Omit<Joined, 'session' | 'channel'>): DamageState {
  if (node.run !== run || run.core !== core) return 'void';
  return isWell(node) ? 'damaged' : 'held';
}

const lostEntry: Fault = {
  name: 'lost index entry',
  weight: 5,
  apply(context) {
    const place = pickJoined(context);
    if (!place) return undefined;
    const { node, core, session, channel } = place;
    const { uid } = session;
    if (!core.routing.damageEntry(channel, uid)) return undefined;
    const what = `${uid} in ${channel} at ${node.id}`;
    context.sim.layers.add({
      ...{ layer: 'index', what, boundMs: INDEX_MS },
      state() {
        const state = stateOfRun(place);
        if (state !== 'damaged') return state;
        // It says what the disk says: first that has to be right.
        if (context.sim.damage.isOpen(subscriptionKey(channel, uid))) return 'held';
        const entry = core.routing.entryOf(channel, uid);
        if (entry === 'offline') return 'void';
        const verdict = core.routing.verdict(channel, uid);
        if (verdict === 'absent') return 'held';
        const isRight = (verdict === 'live') === (entry === 'joined');
        return isRight && core.routing.sumFits(uid) ? 'healed' : 'damaged';
      },
    });
    return what;
  },
};

const lostTopic: Fault = {
  name: 'lost topic',
  weight: 5,
  apply(context) {
    const place = pickJoined(context);
    if (!place) return undefined;
    const { node, core, session, channel } = place;
    session.leave(channel);
    const what = `session ${session.id} of ${session.uid} in ${channel} at ${node.id}`;
    context.sim.layers.add({
      ...{ layer: 'sockets', what, boundMs: SOCKETS_MS },
      state() {
        const state = stateOfRun(place);
        if (state !== 'damaged') return state;
        if (!core.routing.sessionsOf(session.uid).includes(session)) return 'void';
        const joined = core.routing.entryOf(channel, session.uid) === 'joined';
        return session.hasJoined(channel) === joined ? 'healed' : 'damaged';
      },
    });
    return what;
  },
};

function pickLink({
  sim,
  random,
}: FaultContext): readonly [SimulatedNode, SimulatedNode] | undefined {
  const links = sim.nodes.flatMap((one) =>
    sim.nodes
      .filter((other) => other !== one && isLinkWell(sim, one, other))
      .map((other) => [one, other] as const),
  );
  return links.length > 0 ? random.pick(links) : undefined;
}

/** What one node believes that another one wants: a wish is forgotten, or one is made up. */
const alteredInterest: Fault = {
  name: 'altered interest',
  weight: 5,
  apply(context) {
    const { sim, random } = context;
    const [here, there] = pickLink(context) ?? [];
    const { core, run } = here ?? {};
    if (!here || !there || !core || !run) return undefined;
    const channel = random.pick(sim.channels);
    const item = `c${channel}` as const;
    const had = core.replicator.interestOf(there.id).has(item);
    core.replicator.damageInterest(there.id, item, had ? 'drop' : 'add');
    const what = `${here.id} thinks that ${there.id} wants ${channel}: ${String(!had)}`;
    sim.layers.add({
      ...{ layer: 'interest', what, boundMs: INTEREST_MS },
      state() {
        const state = stateOfRun({ node: here, run, core });
        if (state !== 'damaged') return state;
        if (!isLinkWell(sim, here, there)) return 'held';
        const wanted = there.core!.routing.sessionsIn(channel) > 0;
        return core.replicator.interestOf(there.id).has(item) === wanted ? 'healed' : 'damaged';
      },
    });
    return what;
  },
};

/** How long it may take until what was sent is on the sender's disk. */
const STAGED_MS = 30;

/** One frame of operations vanishes on an open stream. */
const lostDelta: Fault = {
  name: 'lost delta',
  weight: 5,
  apply(context) {
    const { sim, later } = context;
    const [from, to] = pickLink(context) ?? [];
    if (!from || !to) return undefined;
    const path = sim.network.path(from.id, to.id);
    const onLost = (): void => {
      sim.world.after(STAGED_MS, 'a delta is lost', () => expectDelta(context, from, to));
    };
    path.loseNext = onLost;
    later(1_000, () => {
      if (path.loseNext === onLost) path.loseNext = undefined;
    });
    return `the next one from ${from.id} to ${to.id}`;
  },
};

/** Everything that the sender has written by now has to be where it was sent. */
function expectDelta({ sim }: FaultContext, from: SimulatedNode, to: SimulatedNode): void {
  const { core } = from;
  const { run } = to;
  if (!core || !run?.core) return;
  const target = { node: to, run, core: run.core };
  const rows = core.replica.durableVector().filter(({ actor }) => actor === core.replica.actor);
  sim.layers.add({
    layer: 'delta',
    what: `from ${from.id} to ${to.id}`,
    boundMs: sim.isTuned ? DELTA_TUNED_MS : DELTA_MS,
    state() {
      const state = stateOfRun(target);
      if (state !== 'damaged') return state;
      if (vectorOf(target.core.replica.durableVector()).missing(rows).length === 0) return 'healed';
      return isLinkWell(sim, from, to) ? 'damaged' : 'held';
    },
  });
}

export const LAYER_FAULTS: readonly Fault[] = [lostEntry, lostTopic, alteredInterest, lostDelta];
