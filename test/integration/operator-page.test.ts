import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Page } from 'playwright-core';
import { hasChromium, withBrowser } from '../support/browser.ts';
import { startCluster } from '../support/cluster.ts';
import { allLinked, clientOf } from '../support/integration.ts';
import { freePort } from '../support/ports.ts';

const run = hasChromium() ? test : test.skip;
const TOKEN = 'a-token-of-operators';
const PICTURES = process.env['HOLDFAST_PICTURES'];

async function explain(tab: Page, uid: string, channel: string): Promise<void> {
  await tab.getByLabel('User', { exact: true }).fill(uid);
  await tab.getByLabel('Channel, or the other user').fill(channel);
  await tab.getByRole('button', { name: 'Explain' }).click();
}

/** The code is a picture and text, and an operator may confirm it. */
async function pairInPage(t: ExecutionContext, tab: Page): Promise<void> {
  const row = tab.locator('#connections tr[data-key=paired]');
  await row.locator('td', { hasText: 'QRCODE' }).waitFor();
  await tab.getByLabel('Journal of paired').click();
  const image = tab.locator('img.code');
  await image.waitFor();
  t.true(await image.evaluate((node) => (node as { naturalWidth?: number }).naturalWidth! > 100));
  await tab.getByLabel('Confirm the code of paired').click();
  await row.locator('td', { hasText: 'CONNECTED' }).waitFor();
}

run(
  'needs chromium: operators log in, explain, repair, steer connections and listeners',
  async (t) => {
    t.timeout(180_000);
    const config = { admin: { token: TOKEN }, gateway: { idle_seconds: 60 } };
    const cluster = await startCluster(t, { nodes: 2, etcd: false, config });
    await allLinked(cluster);
    const admin = cluster.admin(1);
    const alice = await clientOf(t, cluster.addresses(2).client, 'alice');
    await alice.subscribe('room');
    const port = await freePort();
    const paired = { uid: 'bot', port, accessToken: 'key-of-a-bot', pairing: 'required' };
    const target = JSON.stringify(paired);
    await admin.createConnection({ id: 'paired', kind: 'onebot-forward', target });
    await admin.createConnection({
      ...{ id: 'bot-1', kind: 'external', target: '{"token":"secret-1"}' },
      ...{ state: '', actor: 'a test' },
    });
    await withBrowser(async (context) => {
      const errors: string[] = [];
      context.on('weberror', (error) => errors.push(error.error().message));
      context.setDefaultTimeout(30_000);
      const tab = await context.newPage();
      tab.on('dialog', (dialog) => void dialog.accept());
      await tab.goto(`${cluster.addresses(1).http}/operator`);
      await tab.getByLabel('Admin token').fill('wrong');
      await tab.getByLabel('Admin token').press('Enter');
      await tab.locator('#login-error', { hasText: 'the token is not valid' }).waitFor();
      t.false(await tab.locator('#desk').isVisible());
      await tab.getByLabel('Admin token').fill(TOKEN);
      await tab.getByLabel('Admin token').press('Enter');
      await tab.locator('#members-table tr[data-key=node-2]', { hasText: 'live' }).waitFor();
      t.is(await tab.evaluate('document.cookie'), '');

      await explain(tab, 'alice', 'room');
      await tab.locator('.verdict[data-receives=yes]', { hasText: 'RECEIVES' }).waitFor();
      await explain(tab, 'nobody', 'room');
      await tab.locator('.verdict[data-receives=no], .verdict[data-receives=offline]').waitFor();
      await tab.getByLabel('User', { exact: true }).fill('alice');
      await tab.getByRole('button', { name: 'Repair' }).click();
      await tab.locator('#repaired', { hasText: 'Repair: nothing was wrong' }).waitFor();

      t.is(await tab.locator('#explanation > :first-child').getAttribute('data-receives'), 'yes');

      const bot = tab.locator('#connections tr[data-key=bot-1]');
      // OPENING, or what comes of it where the machine is slow.
      await bot.locator('td', { hasText: 'node-1' }).waitFor();
      await tab.getByLabel('Journal of bot-1').click();
      const journal = tab.locator('#connection');
      await journal.locator('td', { hasText: 'a test on node-1' }).first().waitFor();
      t.false((await journal.textContent())?.includes('secret-1'));
      if (PICTURES !== undefined) {
        await tab.screenshot({ path: `${PICTURES}/operator-light.png`, fullPage: true });
        await tab.emulateMedia({ colorScheme: 'dark' });
        await tab.screenshot({ path: `${PICTURES}/operator-dark.png`, fullPage: true });
      }
      await pairInPage(t, tab);
      await tab.getByLabel('Journal of bot-1').click();
      await tab.getByLabel('cancel bot-1').click();
      await bot.locator('td', { hasText: 'DISCONNECTED' }).waitFor();
      await journal.locator('td', { hasText: "operator's page on node-1" }).first().waitFor();

      const client = tab.locator('#listeners tr[data-key=client]');
      await tab.getByLabel('disable client').click();
      await client.locator('td', { hasText: 'disabled' }).waitFor();
      await tab.locator('#health', { hasText: 'not ready' }).waitFor();
      await tab.getByLabel('enable client').click();
      await client.locator('td', { hasText: 'enabled' }).waitFor();

      const file = join(dirname(cluster.storeDir(1)), 'cluster.yml');
      writeFileSync(file, readFileSync(file, 'utf8').replace('"gateway"', '"gatway"'));
      await tab.getByRole('button', { name: 'Read cluster.yml again' }).click();
      await tab.locator('#reloaded li', { hasText: 'did you mean gateway' }).waitFor();

      await tab.getByRole('button', { name: 'Log out' }).click();
      await tab.getByLabel('Admin token').waitFor();
      await tab.reload();
      await tab.getByLabel('Admin token').waitFor();
      t.deepEqual(errors, []);
    });
  },
);
