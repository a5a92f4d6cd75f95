import test from 'ava';
import type { ClusterView } from '../../src/api/port.ts';
import type { MemberId } from '../../src/core/ids.ts';
import {
  chatInTwoTabs,
  closeBrowser,
  hasChromium,
  keepBrowser,
  openTab,
  say,
  seeMessage,
  withBrowser,
} from '../support/browser.ts';
import { FakeChat } from './fake-chat.ts';
import { CLUSTER, withApi } from './fakes.ts';

const inBrowser = hasChromium() ? test.serial : test.serial.skip;
test.before(async () => {
  if (hasChromium()) await keepBrowser();
});
test.after.always(closeBrowser);

/** A folder for pictures of the page, for people who want to look at it. */
const PICTURES = process.env['HOLDFAST_PICTURES'];

/** As text: what the compiler puts into functions is not there in the browser. */
const STRETCH_WAITS = `
  const plain = globalThis.setTimeout;
  globalThis.setTimeout = (task, ms) => plain(task, ms > 250 ? 600_000 : ms);
`;

function clusterAt(addresses: readonly string[]): ClusterView {
  const members = addresses.map((clientAddress, slot) => ({
    ...CLUSTER.members[0]!,
    id: `node-${slot + 1}` as MemberId,
    slot,
    clientAddress,
    httpAddress: `http://127.0.0.1:${5001 + 100 * slot}`,
  }));
  const live = new Set(members.slice(0, 2).map((member) => member.id));
  return { ...CLUSTER, members, live };
}

async function withPage(
  use: (page: { readonly url: string; readonly chats: readonly FakeChat[] }) => Promise<void>,
  managerTokens: readonly string[] = [],
): Promise<void> {
  const chats = [await FakeChat.start(), await FakeChat.start()];
  const addresses = chats.map((chat) => `ws://127.0.0.1:${chat.port}`);
  const cluster = () => clusterAt([...addresses, 'ws://127.0.0.1:9']);
  const options = {
    cluster,
    managerTokens: [...managerTokens],
    clientAddressFor: () => addresses[0]!,
  };
  try {
    await withApi(({ port }) => use({ url: `http://127.0.0.1:${port}/`, chats }), options);
  } finally {
    for (const chat of chats) await chat.stop();
  }
}

inBrowser('page: two tabs talk as two users and see the cluster', async (t) => {
  await withPage(async ({ url }) => {
    await chatInTwoTabs(url, {
      async whileOpen({ alice, bob }) {
        t.is(await alice.locator('#my-node').textContent(), 'node-1');
        const members = await alice
          .locator('#members li')
          .evaluateAll((items) =>
            items.map((item) => [item.dataset['member'], item.dataset['live']]),
          );
        t.deepEqual(members, [
          ['node-1', 'true'],
          ['node-2', 'true'],
          ['node-3', 'false'],
        ]);
        await alice.locator('#messages .meta', { hasText: 'via node-2' }).first().waitFor();
        t.is(new URL(bob.url()).hash, '#uid=bob&channel=2/lobby');
        await bob.reload();
        await bob.locator('#my-state[data-state=online]').waitFor();
        t.is(await bob.locator('#channels li').count(), 2);
        if (PICTURES === undefined) return;
        await alice.screenshot({ path: `${PICTURES}/page-light.png` });
        await alice.emulateMedia({ colorScheme: 'dark' });
        await alice.screenshot({ path: `${PICTURES}/page-dark.png` });
        await bob.setViewportSize({ width: 400, height: 760 });
        await bob.screenshot({ path: `${PICTURES}/page-narrow.png` });
        const empty = await bob.context().newPage();
        await empty.goto(url);
        await empty.screenshot({ path: `${PICTURES}/page-sign-in.png` });
      },
    });
  });
});

inBrowser('page: a node dies, the tab says so and goes on at another', async (t) => {
  await withPage(async ({ url, chats }) => {
    await withBrowser(async (context) => {
      const tab = await openTab(context, url, { uid: 'alice', channel: 'lobby' });
      await tab.locator('#members li').first().waitFor();
      const { port } = chats[0]!;
      await Promise.all([
        tab.locator('#banner', { hasText: 'Connection lost' }).waitFor(),
        chats[0]!.stop(),
      ]);
      if (PICTURES !== undefined) await tab.screenshot({ path: `${PICTURES}/page-lost.png` });
      await tab.locator('#my-state[data-state=online]').waitFor();
      t.is(await tab.locator('#my-node').textContent(), 'node-2');
      await tab.locator('#messages .notice', { hasText: 'Connected to node-2 again' }).waitFor();
      t.false(await tab.locator('#banner').isVisible());
      await say(tab, 'still here');
      await seeMessage(tab, 'still here');
      t.true(port > 0);
    });
  });
});

inBrowser('page: a node that cannot now is no refusal, the next one is tried', async (t) => {
  await withPage(async ({ url, chats }) => {
    chats[0]!.catchingUp = true;
    await withBrowser(async (context) => {
      const tab = await openTab(context, url, { uid: 'alice', channel: 'lobby' });
      t.is(await tab.locator('#my-node').textContent(), 'node-2');
      t.false(await tab.locator('#sign-in').isVisible());
    });
  });
});

inBrowser('page: a node that is drained says where to go, and the tab goes there', async (t) => {
  await withPage(async ({ url, chats }) => {
    chats[0]!.catchingUp = true;
    await withBrowser(async (context) => {
      const tab = await openTab(context, url, { uid: 'alice', channel: 'lobby' });
      t.is(await tab.locator('#my-node').textContent(), 'node-2');
      chats[0]!.catchingUp = false;
      await tab.locator('#members li').first().waitFor();
      chats[1]!.drainTo(`ws://127.0.0.1:${chats[0]!.port}`);
      await tab.locator('#my-node', { hasText: 'node-1' }).waitFor();
      await tab.locator('#my-state[data-state=online]').waitFor();
    });
  });
});

inBrowser('page: the next attempt need not be waited for', async (t) => {
  await withPage(async ({ url, chats }) => {
    await withBrowser(async (context) => {
      const tab = await openTab(context, url, { uid: 'alice', channel: 'lobby' });
      // No wait between attempts ends by itself.
      await tab.evaluate(STRETCH_WAITS);
      await chats[0]!.stop();
      await tab.locator('#banner', { hasText: 'Connection lost' }).waitFor();
      await tab.getByRole('button', { name: 'Try now' }).click();
      await tab.locator('#my-state[data-state=online]').waitFor();
      t.is(await tab.locator('#my-node').textContent(), 'node-2');
      t.false(await tab.getByRole('button', { name: 'Try now' }).isVisible());
    });
  });
});

inBrowser('page: a refusal and a kick lead back to the form, with the reason', async (t) => {
  await withPage(async ({ url, chats }) => {
    chats[0]!.refused.add('mallory');
    await withBrowser(async (context) => {
      const tab = await context.newPage();
      await tab.goto(`${url}#uid=mallory&channel=2/lobby`);
      await tab.locator('#sign-in-error', { hasText: 'the token is not valid' }).waitFor();
      t.is(await tab.getByLabel('Your uid').inputValue(), 'mallory');
      const other = await openTab(context, url, { uid: 'alice', channel: 'lobby' });
      chats[0]!.kickAll();
      await other.locator('#sign-in-error', { hasText: 'same device connected again' }).waitFor();
    });
  });
});

inBrowser('page: with manager tokens the members show after the token is given', async (t) => {
  await withPage(
    async ({ url }) => {
      await withBrowser(async (context) => {
        const tab = await openTab(context, url, { uid: 'alice', channel: 'lobby' });
        await tab.getByLabel('API token').fill('secret');
        t.is(await tab.locator('#members li').count(), 0);
        await tab.getByLabel('API token').press('Enter');
        await tab.locator('#members li').first().waitFor();
      });
    },
    ['secret'],
  );
});
