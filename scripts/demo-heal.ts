import { EasyClient } from '../test/support/clients/easy-client.ts';
import { startSharedCluster, type TestCluster } from '../test/support/cluster.ts';
import { etcdAvailable } from '../test/support/etcd.ts';
import { until } from '../test/support/until.ts';
import type { FaultRequest, RepairEvent } from '../src/admin/messages.ts';
import { FAULT_KINDS } from '../src/faults/port.ts';

/** One line for each kind of damage: what was broken, when it was found, and whether a message was lost. */
const WAIT_MS = 15_000;
const LASTING = ['drop-deltas', 'delay-deltas', 'freeze-peer', 'lose-membership'];

interface Seen {
  readonly atMs: number;
  readonly repair: RepairEvent;
}

const seen: Seen[] = [];
const startedMs = performance.now();
const cluster = await startSharedCluster({
  nodes: 3,
  etcd: etcdAvailable(),
  config: { audit: { profile: 'fast', fault_injection: 'on' } },
});
let lost = 0;
try {
  const abort = new AbortController();
  for (const k of cluster.numbers) void watch(cluster, k, abort.signal);
  for (const [i, kind] of FAULT_KINDS.entries()) lost += await show(cluster, kind, i);
  abort.abort();
  say(`messages lost in all: ${lost}`);
} finally {
  await cluster.end();
}
process.exit(lost === 0 ? 0 : 1);

async function watch(of: TestCluster, k: number, signal: AbortSignal): Promise<void> {
  const events = of.admin(k).watch({ kinds: ['EVENT_KIND_REPAIR'] }, signal);
  for await (const { repair } of events) {
    if (repair) seen.push({ atMs: performance.now(), repair });
  }
}

/** Returns how many messages the subscriber has not got. */
async function show(of: TestCluster, kind: string, i: number): Promise<number> {
  const [channelId, uid] = [`demo-${i}`, `user-${i}`];
  const receiver = new EasyClient({ url: of.addresses(1).client, uid });
  const sender = new EasyClient({ url: of.addresses(2).client, uid: `sender-${i}` });
  try {
    await Promise.all([receiver.connect(), sender.connect()]);
    await receiver.subscribe(channelId);
    let sent = 0;
    const stop = new AbortController();
    const flow = (async () => {
      while (!stop.signal.aborted) {
        await sender.send(channelId, 2, String(sent));
        sent += 1;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    const fault: Partial<FaultRequest> = {
      ...{ kind, channelId, channelType: 2, member: of.id(kind === 'drop-interest' ? 1 : 2) },
      ...{ uid: kind === 'insert-row' ? `stranger-${i}` : uid, seconds: 3 },
    };
    const at = kind === 'drop-interest' ? 2 : 1;
    const brokenMs = performance.now();
    const { damage } = await of.admin(at).injectFault(fault);
    const found = await until(
      'it is found',
      () => seen.find(({ atMs, repair }) => atMs >= brokenMs && isAbout(repair, channelId, kind)),
      LASTING.includes(kind) ? 4_000 : WAIT_MS,
    ).catch(() => undefined);
    const repaired =
      found &&
      (await until(
        'it is repaired',
        () =>
          seen.find(
            ({ atMs, repair }) =>
              atMs >= brokenMs && isAbout(repair, channelId, kind) && isRepair(repair, kind),
          ),
        WAIT_MS,
      ).catch(() => undefined));
    stop.abort();
    await flow;
    const arrived = () => new Set(receiver.texts(channelId)).size;
    await until('all messages arrive', () => arrived() >= sent).catch(() => undefined);
    say(`${kind}: broken at ${seconds(brokenMs)} (${damage.join('; ')})`);
    say(
      `  ${found ? describe({ found, repaired, brokenMs }) : none(kind)}; messages lost: ${sent - arrived()}`,
    );
    return sent - arrived();
  } finally {
    receiver.stop();
    sender.stop();
  }
}

function isAbout(repair: RepairEvent, channelId: string, kind: string): boolean {
  if (repair.channelId === channelId) return true;
  return kind.endsWith('-interest') && repair.layer === 'interest';
}

/** A row is repaired once the peers' rows have been joined with it, not when the index has followed it. */
function isRepair({ layer, action }: RepairEvent, kind: string): boolean {
  if (action === 'alarm') return false;
  return !kind.endsWith('-row') || layer === 'peers';
}

function describe(one: { found: Seen; repaired: Seen | undefined; brokenMs: number }): string {
  const { found, repaired, brokenMs } = one;
  const tell = ({ atMs, repair: { layer, action, cause } }: Seen): string =>
    `${((atMs - brokenMs) / 1000).toFixed(2)} s later (${layer}: ${action}, ${cause})`;
  const end = repaired ? `repaired ${tell(repaired)}` : `not repaired within ${WAIT_MS / 1000} s`;
  return `found ${tell(found)}, ${end}`;
}

function none(kind: string): string {
  if (LASTING.includes(kind)) return 'it passes by itself; no divergence was told of';
  return `not repaired within ${WAIT_MS / 1000} s`;
}

function seconds(ms: number): string {
  return `${((ms - startedMs) / 1000).toFixed(2)} s`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
