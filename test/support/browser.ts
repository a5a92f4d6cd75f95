import { accessSync, constants } from 'node:fs';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

export const CHROMIUM = '/usr/bin/chromium';

export function hasChromium(): boolean {
  try {
    accessSync(CHROMIUM, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Quiet: nothing is updated, synchronised or fetched but the page. */
const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let kept: Browser | undefined;

/** For all tests of a file, for a start costs seconds: `closeBrowser` belongs in `test.after.always`. */
export async function keepBrowser(): Promise<void> {
  kept = await launch();
}

export async function closeBrowser(): Promise<void> {
  await kept?.close();
  kept = undefined;
}

/** A browser that knows nothing of what was before; its profile is gone afterwards. */
export async function withBrowser(use: (context: BrowserContext) => Promise<void>): Promise<void> {
  const browser = kept ?? (await launch());
  try {
    const context = await browser.newContext({ viewport: { width: 1180, height: 760 } });
    context.setDefaultTimeout(15_000);
    try {
      await use(context);
    } finally {
      await context.close();
    }
  } finally {
    if (browser !== kept) await browser.close();
  }
}

function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGUMENTS });
}

/** Signs a tab in through the form. */
export async function openTab(
  context: BrowserContext,
  pageUrl: string,
  user: { readonly uid: string; readonly channel: string; readonly token?: string },
): Promise<Page> {
  const tab = await context.newPage();
  await tab.goto(pageUrl);
  await tab.getByLabel('Your uid').fill(user.uid);
  await tab.locator('#sign-in-form [name=channel]').fill(user.channel);
  if (user.token !== undefined) await tab.locator('#sign-in-form [name=token]').fill(user.token);
  await tab.getByLabel('Your uid').press('Enter');
  await tab.locator('#my-state[data-state=online]').waitFor();
  return tab;
}

export async function say(tab: Page, text: string): Promise<void> {
  await tab.getByLabel('Message', { exact: true }).fill(text);
  await tab.getByLabel('Message', { exact: true }).press('Enter');
}

/** Resolves once the tab shows the message, from another user (`sender`) or sent by itself. */
export async function seeMessage(tab: Page, text: string, sender?: string): Promise<void> {
  const author = sender ?? 'you';
  const item = tab.locator('#messages li').filter({ hasText: text });
  await item.filter({ has: tab.locator('.meta b', { hasText: author }) }).waitFor();
}

export interface TwoTabs {
  readonly alice: Page;
  readonly bob: Page;
  readonly channel: string;
}

export interface TwoTabsOptions {
  /** Where the second tab is opened; the same page by default. */
  readonly secondPageUrl?: string;
  readonly channel?: string;
  /** While both tabs are open, after they talked. */
  readonly whileOpen?: (tabs: TwoTabs) => Promise<void>;
}

/**
 * Two users in two tabs subscribe to one channel, talk both ways there and in a direct channel, and see
 * their node. Rejects where anything of it does not show within 15 s.
 */
export async function chatInTwoTabs(pageUrl: string, options: TwoTabsOptions = {}): Promise<void> {
  const channel = options.channel ?? 'lobby';
  await withBrowser(async (context) => {
    const errors: string[] = [];
    context.on('weberror', (error) => errors.push(error.error().message));
    const alice = await openTab(context, pageUrl, { uid: 'alice', channel });
    const bob = await openTab(context, options.secondPageUrl ?? pageUrl, { uid: 'bob', channel });
    for (const tab of [alice, bob]) {
      await tab.locator('#channel-state', { hasText: 'subscribed' }).waitFor();
      await tab.locator('#members li').first().waitFor();
    }
    await say(alice, 'Hello Bob, are you there?');
    await seeMessage(alice, 'Hello Bob');
    await seeMessage(bob, 'Hello Bob', 'alice');
    await say(bob, 'Yes <b>here</b> I am');
    await seeMessage(bob, 'Yes <b>here</b> I am');
    await seeMessage(alice, 'Yes <b>here</b> I am', 'bob');
    await alice.locator('#messages li.own .meta', { hasText: '✓' }).waitFor();
    await talkDirectly(alice, bob);
    await options.whileOpen?.({ alice, bob, channel });
    if (errors.length > 0) throw new Error(`the page threw: ${errors.join('; ')}`);
  });
}

async function talkDirectly(alice: Page, bob: Page): Promise<void> {
  await alice.getByLabel('Kind of channel').selectOption('1');
  await alice.getByLabel('Channel or uid').fill('bob');
  await alice.getByLabel('Channel or uid').press('Enter');
  await alice.locator('#channel-name', { hasText: '@bob' }).waitFor();
  await say(alice, 'only for you');
  await bob.locator('#channels .unread', { hasText: '1' }).waitFor();
  await bob.getByRole('button', { name: '@alice' }).click();
  await seeMessage(bob, 'only for you', 'alice');
  for (const tab of [alice, bob]) await tab.keyboard.press('Alt+ArrowUp');
}
