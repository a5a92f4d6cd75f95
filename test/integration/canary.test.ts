import test from 'ava';
import { startCluster } from '../support/cluster.ts';
import { allLinked, clientOf } from '../support/integration.ts';
import { until } from '../support/until.ts';

test('F23 probes arrive on real nodes by their own path and by way of each peer, and no user sees them', async (t) => {
  const cluster = await startCluster(t, {
    nodes: 2,
    etcd: false,
    config: { audit: { profile: 'fast' } },
  });
  await allLinked(cluster);
  const user = await clientOf(t, cluster.addresses(1).client, 'ann');
  const metrics = async (k: number): Promise<string> =>
    (await fetch(`${cluster.addresses(k).http}/metrics`)).text();
  for (const k of [1, 2]) {
    await until('both paths deliver', async () => {
      const text = await metrics(k);
      return (text.match(/^holdfast_canary_delivers\{.*\} 1$/gm) ?? []).length === 2;
    });
    const ready = await fetch(`${cluster.addresses(k).http}/readyz`);
    t.is(ready.status, 200);
    await ready.text();
  }
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const text = await metrics(1);
  t.is((text.match(/^holdfast_canary_delivers\{.*\} 1$/gm) ?? []).length, 2);
  t.regex(text, /^holdfast_sessions\{protocol="json-rpc"\} 1$/m);
  t.regex(text, /^holdfast_users_online 1$/m);
  t.regex(text, /^holdfast_deliveries_total 0$/m);
  t.regex(text, /^holdfast_index_channels 0$/m);
  t.is(user.received.length, 0);
  for (const channelId of ['canary/node-1', 'node-1']) {
    const reply = await user.subscribe(channelId, 0).catch(() => undefined);
    t.not(reply?.reasonCode, 1);
  }
});
