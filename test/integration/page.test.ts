import test from 'ava';
import type { Page } from 'playwright-core';
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
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked } from '../support/integration.ts';
import { until } from '../support/until.ts';

const run = hasChromium() ? test.serial : test.serial.skip;
/** A folder for pictures of the page, for people who want to look at it. */
const PICTURES = process.env['HOLDFAST_PICTURES'];
const PATIENT_MS = 30_000;
const LINES = 70;

let cluster: TestCluster;
test.before(async () => {
  if (!hasChromium()) return;
  cluster = await startSharedCluster({ nodes: 2, etcd: false });
  await allLinked(cluster);
  await keepBrowser();
});
test.after.always(async () => {
  await closeBrowser();
  await cluster?.end();
});

const pageOf = (k: number): string => `${cluster.addresses(k).http}/`;

async function post(path: string, body: object): Promise<void> {
  const url = `${cluster.addresses(1).http}${path}`;
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  if (answer.status !== 200) throw new Error(`${path}: ${await answer.text()}`);
}

/** A group with more messages than one page of history. */
async function tellTeam(): Promise<void> {
  const channel = { channel_id: 'team', channel_type: 2 };
  await post('/channel', { ...channel, subscribers: ['ann', 'ben', 'carol'] });
  for (let line = 1; line <= LINES; line++) {
    const content = { type: 1, content: `line ${line} of ${LINES}` };
    const payload = Buffer.from(JSON.stringify(content)).toString('base64');
    await post('/message/send', { ...channel, from_uid: 'carol', payload });
  }
}

const entry = (tab: Page, key: string) => tab.locator(`#channels button[data-key="${key}"]`);
const spoken = (tab: Page) => tab.locator('#messages li[data-no]');

async function picture(tab: Page, name: string): Promise<void> {
  if (PICTURES !== undefined) await tab.screenshot({ path: `${PICTURES}/chat-${name}.png` });
}

run('needs chromium: two tabs as two users on two real nodes subscribe and chat', async (t) => {
  await t.notThrowsAsync(chatInTwoTabs(pageOf(1), { secondPageUrl: pageOf(2) }));
});

run(
  'needs chromium: unread counts, previews, scrolling back, taking back, presence and the banner',
  async (t) => {
    await tellTeam();
    await withBrowser(async (context) => {
      context.setDefaultTimeout(PATIENT_MS);
      const errors: string[] = [];
      context.on('weberror', (error) => errors.push(error.error().message));
      const ben = await openTab(context, pageOf(2), { uid: 'ben', channel: 'lobby' });
      await entry(ben, '2/team')
        .locator('.unread', { hasText: String(LINES) })
        .waitFor();
      const preview = entry(ben, '2/team').locator('.preview');
      t.is(await preview.textContent(), `carol: line ${LINES} of ${LINES}`);
      await until('the title counts', async () => (await ben.title()).startsWith(`(${LINES})`));

      const ann = await openTab(context, pageOf(1), { uid: 'ann', channel: 'team' });
      await seeMessage(ann, `line ${LINES} of`, 'carol');
      t.true((await spoken(ann).count()) < LINES);
      await until(
        'the first message by scrolling up',
        async () => {
          await ann.locator('#messages').evaluate((list) => {
            list.scrollTop = 0;
            list.dispatchEvent(new Event('scroll'));
          });
          return (await spoken(ann).count()) === LINES;
        },
        PATIENT_MS,
      );
      t.regex((await spoken(ann).first().textContent()) ?? '', /line 1 of/);
      await ann.locator('#older').waitFor({ state: 'hidden' });

      await entry(ben, '2/team').click();
      await seeMessage(ben, `line ${LINES} of`, 'carol');
      await entry(ben, '2/team').locator('.unread').waitFor({ state: 'detached' });
      await entry(ben, '2/lobby').click();
      await say(ann, 'a slip of mine');
      await entry(ben, '2/team').locator('.unread', { hasText: '1' }).waitFor();
      await picture(ben, 'unread');
      await ann.getByRole('button', { name: 'Take back: a slip of mine' }).click();
      await spoken(ann).filter({ hasText: 'you took this back' }).waitFor();
      await preview.filter({ hasText: 'ann took this back' }).waitFor();
      await entry(ben, '2/team').locator('.unread').waitFor({ state: 'detached' });
      // What was read is so on the server: the count does not come back.
      await ben.reload();
      await preview.filter({ hasText: 'ann took this back' }).waitFor();
      t.is(await entry(ben, '2/team').locator('.unread').count(), 0);
      await entry(ben, '2/team').click();
      await spoken(ben).filter({ hasText: 'ann took this back' }).waitFor();
      t.is(await ben.getByText('a slip of mine').count(), 0);
      await picture(ben, 'recalled');

      await ben.locator('#people li[data-person=ann][data-live=true]').waitFor();
      await Promise.all([
        ann.locator('#banner', { hasText: /^Connection lost \(.+\)\. Next attempt in/ }).waitFor(),
        cluster.kill9(1),
      ]);
      await say(ben, 'said while ann was away');
      await ann.locator('#my-node', { hasText: cluster.id(2) }).waitFor();
      await ann.locator('#banner').waitFor({ state: 'hidden' });
      await seeMessage(ann, 'said while ann was away', 'ben');
      await ann.close();
      await ben.locator('#people li[data-person=ann][data-live=false]').waitFor();
      t.deepEqual(errors, []);
    });
  },
);
