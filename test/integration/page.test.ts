import test from 'ava';
import { chatInTwoTabs, hasChromium } from '../support/browser.ts';
import { startCluster } from '../support/cluster.ts';
import { allLinked } from '../support/integration.ts';

const run = hasChromium() ? test : test.skip;

run('needs chromium: two tabs as two users on two real nodes subscribe and chat', async (t) => {
  const cluster = await startCluster(t, { nodes: 2, etcd: false });
  await allLinked(cluster);
  await t.notThrowsAsync(
    chatInTwoTabs(`${cluster.addresses(1).http}/`, {
      secondPageUrl: `${cluster.addresses(2).http}/`,
    }),
  );
});
