import test from 'ava';
import type { AdminCallError } from '../../src/admin/client.ts';
import { collect, startAdmin, type Started } from './support/start.ts';

async function fill({ client }: Started, channels: number, users: number): Promise<void> {
  const uids = Array.from({ length: users }, (_, i) => `u${String(i).padStart(4, '0')}`);
  for (let c = 0; c < channels; c++) {
    await client.subscribe({ channelId: `g${c}`, channelType: 2, uids });
  }
}

test('by channel: every subscriber once, in pages', async (t) => {
  const started = await startAdmin(t);
  await fill(started, 2, 25);
  const channel = { channelId: 'g1', channelType: 2 };
  const pages = await collect(started.client.listSubscriptions({ channel, pageSize: 10 }));
  t.deepEqual(
    pages.map(({ uids }) => uids.length),
    [10, 10, 5],
  );
  t.is(new Set(pages.flatMap(({ uids }) => uids)).size, 25);
  t.true(pages.every(({ channelIds }) => channelIds.every((id) => id === 'g1')));
  t.deepEqual(
    pages.map(({ nextPageToken }) => nextPageToken !== ''),
    [true, true, false],
  );
});

test('by user, and everything', async (t) => {
  const started = await startAdmin(t);
  await fill(started, 3, 4);
  const ofUser = await collect(started.client.listSubscriptions({ uid: 'u0001' }));
  t.deepEqual(ofUser, [
    {
      channelIds: ['g0', 'g1', 'g2'],
      channelTypes: [2, 2, 2],
      uids: ['u0001', 'u0001', 'u0001'],
      nextPageToken: '',
    },
  ]);
  const all = await collect(started.client.listSubscriptions({ pageSize: 5 }));
  t.is(all.flatMap(({ uids }) => uids).length, 12);
});

test('nothing to list is one empty page', async (t) => {
  const { client } = await startAdmin(t);
  const empty = { channelIds: [], channelTypes: [], uids: [], nextPageToken: '' };
  t.deepEqual(await collect(client.listSubscriptions()), [empty]);
});

test('a page that ends exactly at the end carries no token', async (t) => {
  const started = await startAdmin(t);
  await fill(started, 1, 10);
  const pages = await collect(started.client.listSubscriptions({ pageSize: 5 }));
  t.deepEqual(
    pages.map(({ nextPageToken }) => nextPageToken !== ''),
    [true, false],
  );
});

test('a token goes on where the page ended, also where its last row has gone', async (t) => {
  const started = await startAdmin(t);
  await fill(started, 1, 10);
  const { client } = started;
  const [first] = await collect(client.listSubscriptions({ pageSize: 4, pagesMax: 1 }));
  await client.unsubscribe({ channelId: 'g0', channelType: 2, uids: [first!.uids.at(-1)!] });
  const rest = await collect(client.listSubscriptions({ pageToken: first!.nextPageToken }));
  t.deepEqual(rest[0]!.uids, ['u0004', 'u0005', 'u0006', 'u0007', 'u0008', 'u0009']);
});

test('bad pages and tokens are refused by name', async (t) => {
  const started = await startAdmin(t);
  await fill(started, 1, 10);
  const { client } = started;
  const [page] = await collect(client.listSubscriptions({ pageSize: 4, pagesMax: 1 }));
  const g0 = { channelId: 'g0', channelType: 2 };
  const [ofG0] = await collect(client.listSubscriptions({ channel: g0, pageSize: 4, pagesMax: 1 }));
  t.not(ofG0!.nextPageToken, '');
  const cases = [
    ['page_size', { pageSize: 1_001 }],
    ['page_token', { pageToken: 'nonsense' }],
    ['page_token', { pageToken: page!.nextPageToken, uid: 'u0001' }],
    [
      'page_token',
      { pageToken: ofG0!.nextPageToken, channel: { channelId: 'g1', channelType: 2 } },
    ],
    ['uid', { uid: 'a#b' }],
    ['channel.channel_id', { channel: { channelId: '', channelType: 2 } }],
    ['channel.channel_type', { channel: { channelId: 'g', channelType: 0 } }],
  ] as const;
  for (const [field, request] of cases) {
    const error = await t.throwsAsync<AdminCallError>(collect(client.listSubscriptions(request)));
    t.like(error, { code: 'INVALID_ARGUMENT', field });
  }
});

test('without a listing of everything that says so', async (t) => {
  const { client } = await startAdmin(t, { listing: undefined });
  const error = await t.throwsAsync<AdminCallError>(collect(client.listSubscriptions()));
  t.is(error.code, 'UNIMPLEMENTED');
});

test('leaving the loop early ends the call on the node', async (t) => {
  const started = await startAdmin(t);
  await fill(started, 1, 100);
  for await (const page of started.client.listSubscriptions({ pageSize: 1 })) {
    t.is(page.uids.length, 1);
    break;
  }
  t.is((await collect(started.client.listSubscriptions())).length, 1);
});
