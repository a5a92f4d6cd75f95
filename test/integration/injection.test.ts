import test from 'ava';
import { startCluster } from '../support/cluster.ts';
import { allLinked, clientOf, sameTables } from '../support/integration.ts';
import { until } from '../support/until.ts';

const KINDS = ['delete-row', 'corrupt-row', 'alter-row', 'drop-index-entry', 'drop-topic'];
const EACH = 4;
/** Five times the slowest bound of the fast profile, the disk's. */
const BOUND_MS = 10_000;

test.serial(
  'S2-3 twenty injections on three real nodes: each is found and put right, no message is lost',
  async (t) => {
    const audit = { profile: 'fast', fault_injection: 'on' };
    const cluster = await startCluster(t, { nodes: 3, etcd: false, config: { audit } });
    await allLinked(cluster);
    const receiver = await clientOf(t, cluster.addresses(1).client, 'receiver');
    const sender = await clientOf(t, cluster.addresses(2).client, 'sender');
    const faults = KINDS.flatMap((kind) =>
      Array.from({ length: EACH }, (_, i) => ({ kind, channelId: `${kind}-${i}` })),
    );
    for (const { channelId } of faults) await receiver.subscribe(channelId);
    const before = await sameTables(cluster);

    const found = new Set<string>();
    const abort = new AbortController();
    const watching = (async () => {
      const kinds = ['EVENT_KIND_REPAIR'] as const;
      for await (const { repair } of cluster.admin(1).watch({ kinds }, abort.signal)) {
        if (repair) found.add(repair.channelId);
      }
    })().catch(() => undefined);
    for (const { kind, channelId } of faults) {
      const fault = { kind, channelId, channelType: 2, uid: 'receiver' };
      await cluster.admin(1).injectFault(fault);
      await sender.send(channelId, 2, 'at once');
    }
    const names = faults.map(({ channelId }) => channelId);
    await until(
      'each damage is found',
      () => names.every((name) => found.has(name)),
      5 * BOUND_MS,
    ).catch(() =>
      t.deepEqual(
        [],
        names.filter((name) => !found.has(name)),
        'not found',
      ),
    );
    t.is(await sameTables(cluster), before);
    for (const name of names) await sender.send(name, 2, 'afterwards');
    await until('every message arrives', () => receiver.received.length >= 2 * names.length);
    for (const name of names) t.deepEqual(receiver.texts(name), ['at once', 'afterwards'], name);
    abort.abort();
    await watching;
  },
);
