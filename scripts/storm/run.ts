import { startSharedCluster, type TestCluster } from '../../test/support/cluster.ts';
import { sameTables, sameVectors } from '../../test/support/integration.ts';
import { seeded } from '../chaos/random.ts';
import { checkPair, type Findings, type NodeView, type Seen } from './check.ts';
import { Caller } from './http.ts';
import { Storm, type Pair } from './sends.ts';

export interface StormRunOptions {
  readonly kills: number;
  readonly seed: number;
  /** Default 3. */
  readonly nodes?: number | undefined;
  /** First messages around the kills of one burst, at most. Default 250. */
  readonly pairsPerBurst?: number | undefined;
  readonly onKill?: ((killed: number) => void) | undefined;
}

export interface StormReport extends Findings {
  readonly kills: number;
  readonly pairs: number;
  readonly acknowledged: number;
  readonly givenUp: number;
  /** Of those given up: what was there nevertheless, all of it, at the end. */
  readonly thereNevertheless: number;
  /** Sends that were asked for more than once. */
  readonly repeated: number;
  readonly wallMs: number;
  /** The nodes' last lines, where something was found. */
  readonly logs: readonly string[];
}

const PAIRS_PER_BURST = 250;
const WIDTH = 16;
const SETTLE_MS = 90_000;
/** A kill comes so long after its burst began, at most. Milliseconds. */
const KILL_WITHIN_MS = 200;
/** So long after it the storm goes on, into nodes that start. Milliseconds. */
const AFTER_KILL_MS = 100;
const CHECKS_AT_ONCE = 16;

/**
 * kill -9 of random nodes at random moments of a storm of first direct messages; every node is started
 * again. At the end every acknowledged message is on every node once, in the conversations of both.
 */
export async function runStorm(options: StormRunOptions): Promise<StormReport> {
  const startedMs = performance.now();
  const random = seeded(options.seed);
  const cluster = await startSharedCluster({ nodes: options.nodes ?? 3, etcd: false });
  const caller = new Caller();
  const nodes = cluster.numbers.map((k) => cluster.addresses(k).http);
  const storm = new Storm({ caller, nodes, random, width: WIDTH });
  try {
    for (let killed = 0; killed < options.kills;) {
      const left = options.kills - killed;
      killed += await burst({ cluster, storm, random, left, options });
      options.onKill?.(killed);
    }
    await cluster.whenReady();
    await cluster.whenConnected();
    await sameVectors(cluster, SETTLE_MS);
    await sameTables(cluster, SETTLE_MS);
    const views = await look(storm.pairs, { caller, nodes });
    return report({ options, pairs: storm.pairs, views, cluster, startedMs });
  } finally {
    caller.close();
    await cluster.end();
  }
}

interface Burst {
  readonly cluster: TestCluster;
  readonly storm: Storm;
  readonly random: () => number;
  readonly options: StormRunOptions;
  /** Kills that are still to come. */
  readonly left: number;
}

/** One node, or several at moments of their own, all of them too: what is acknowledged is on a disk. */
async function burst({ cluster, storm, random, left, options }: Burst): Promise<number> {
  const stop = new AbortController();
  const blowing = storm.blow(stop.signal, options.pairsPerBurst ?? PAIRS_PER_BURST);
  const victims = cluster.numbers
    .map((k) => ({ k, place: random(), afterMs: random() * KILL_WITHIN_MS }))
    .toSorted((one, other) => one.place - other.place)
    .slice(0, Math.min(left, 1 + Math.floor(random() * cluster.numbers.length)));
  const kills = victims.map(async ({ k, afterMs }) => {
    await pause(afterMs);
    await cluster.kill9(k);
    cluster.launch(k);
  });
  await Promise.all(kills);
  await pause(AFTER_KILL_MS);
  stop.abort();
  await blowing;
  await cluster.whenReady();
  return victims.length;
}

function report(parts: {
  readonly options: StormRunOptions;
  readonly pairs: readonly Pair[];
  readonly views: readonly (readonly NodeView[])[];
  readonly cluster: TestCluster;
  readonly startedMs: number;
}): StormReport {
  const { pairs, views } = parts;
  const found = pairs.map((pair, i) => checkPair(pair, views[i]!));
  const findings = {
    lost: found.flatMap(({ lost }) => lost),
    twice: found.flatMap(({ twice }) => twice),
    torn: found.flatMap(({ torn }) => torn),
    unequal: found.flatMap(({ unequal }) => unequal),
  };
  const sends = pairs.flatMap((pair, i) =>
    pair.sends.map((send) => ({ send, numbers: numbersIn(views[i]![0]) })),
  );
  const givenUp = sends.filter(({ send }) => send.fate === 'given up');
  const clean = Object.values(findings).every((list) => list.length === 0);
  return {
    ...findings,
    kills: parts.options.kills,
    pairs: pairs.length,
    acknowledged: sends.length - givenUp.length,
    givenUp: givenUp.length,
    thereNevertheless: givenUp.filter(({ send, numbers }) => numbers.has(send.number)).length,
    repeated: sends.filter(({ send }) => send.attempts > 1).length,
    wallMs: Math.round(performance.now() - parts.startedMs),
    logs: clean ? [] : parts.cluster.logs(100),
  };
}

function numbersIn(view: NodeView | undefined): ReadonlySet<string> {
  return new Set(view?.ofA?.messages.map(({ number }) => number));
}

interface Lookup {
  readonly caller: Caller;
  readonly nodes: readonly string[];
}

/** Of each pair what each node has. */
async function look(
  pairs: readonly Pair[],
  { caller, nodes }: Lookup,
): Promise<readonly (readonly NodeView[])[]> {
  const views: NodeView[][] = pairs.map(() => []);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < pairs.length) {
      const index = next++;
      const { a, b } = pairs[index]!;
      for (const [at, node] of nodes.entries()) {
        const [ofA, ofB] = await Promise.all([
          conversation(caller, node, { uid: a, other: b }),
          conversation(caller, node, { uid: b, other: a }),
        ]);
        views[index]!.push({ node: `node-${at + 1}`, ofA, ofB });
      }
    }
  };
  await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, worker));
  return views;
}

interface ConversationBody {
  readonly channel_id: string;
  readonly unread: number;
  readonly recents: readonly { readonly client_msg_no: string; readonly payload: string }[];
}

async function conversation(
  caller: Caller,
  node: string,
  { uid, other }: { readonly uid: string; readonly other: string },
): Promise<Seen | undefined> {
  const answer = await caller.post(node, '/conversation/sync', { uid, msg_count: 10 });
  if (answer?.status !== 200) throw new Error(`${node} does not answer: ${answer?.text}`);
  const list = JSON.parse(answer.text) as readonly ConversationBody[];
  const found = list.find(({ channel_id: channel }) => channel === other);
  if (!found) return undefined;
  const messages = found.recents.map(({ client_msg_no: number, payload }) => ({
    number,
    text: Buffer.from(payload, 'base64').toString(),
  }));
  return { unread: found.unread, messages };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
