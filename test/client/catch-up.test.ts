import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { HoldfastClient, type Resumed } from '../../src/client/client.ts';
import type { ClientSession } from '../../src/gateway/session/session.ts';
import { createWsServer } from '../../src/gateway/socket-server/ws.ts';
import { startRealNode, type RealNode } from '../audit/real-node.ts';
import { group, uid } from '../support/ids.ts';
import { until } from '../support/until.ts';

const MISSED = 250;

async function started(t: ExecutionContext, ...names: string[]) {
  const real = await startRealNode(t, createWsServer);
  for (const name of names) await real.subscribe(group(name), 'ann');
  const texts: string[] = [];
  const resumed: Resumed[] = [];
  const one = new HoldfastClient({
    ...{ addresses: [real.url], uid: 'ann', pingMs: 100, backoffMinMs: 5, backoffMaxMs: 20 },
    openSocket: (address) => new WebSocket(address),
    onMessage: ({ payload }) => texts.push(Buffer.from(payload, 'base64').toString()),
    onResumed: (what) => resumed.push(what),
  });
  t.teardown(() => one.stop());
  one.start();
  await until('its channels are known', () => one.channels().length === names.length);
  return { real, one, texts, resumed };
}

/** While it is away, and then live before it can have fetched what it missed. */
async function missMany(t: ExecutionContext, { real, one, texts }: Started): Promise<string[]> {
  for (const name of ['big', 'small']) await real.publish(group(name), 'x', `${name} first`);
  await until('it has the first', () => texts.length === 2);
  await one.ping();
  one.stop();
  const sent = Array.from({ length: MISSED }, (_, i) => `big ${i}`);
  for (const text of sent) await real.publish(group('big'), 'x', text);
  await real.publish(group('small'), 'x', 'small second');
  one.start();
  for (let i = 0; i < 10; i++) await real.publish(group('big'), 'x', `big live ${i}`);
  await until('all came', () => texts.length >= MISSED + 13);
  await one.ping();
  t.is(texts.length, MISSED + 13);
  t.deepEqual(
    texts.filter((text) => text.startsWith('small')),
    ['small first', 'small second'],
  );
  return ['big first', ...sent, ...Array.from({ length: 10 }, (_, i) => `big live ${i}`)];
}

interface Started {
  readonly real: RealNode;
  readonly one: HoldfastClient;
  readonly texts: string[];
  readonly resumed: Resumed[];
}

function sessionOf({ core }: RealNode): ClientSession {
  return core.services.sessions.sessionsOf(uid('ann')).at(-1) as ClientSession;
}

const ofBig = (texts: readonly string[]): string[] =>
  texts.filter((text) => text.startsWith('big'));

test('what is too much for one answer is fetched in pages, and live messages wait behind it', async (t) => {
  const parts = await started(t, 'big', 'small');
  const expected = await missMany(t, parts);
  t.deepEqual(ofBig(parts.texts), expected);
  t.deepEqual(parts.resumed, [{ live: 0, replayed: 1, cut: 0, paged: 1, snapshots: [] }]);
});

test('where the token tells the server nothing, the history does, from the last message on', async (t) => {
  const parts = await started(t, 'big', 'small');
  const resumes = parts.real.core.services.resumes!;
  resumes.resume = () => ({
    ...{ snapshot: 'away-too-long', live: 0, channels: [], deliveries: [] },
    ...{ filter: undefined, from: undefined },
  });
  const expected = await missMany(t, parts);
  t.deepEqual(ofBig(parts.texts), expected);
  const [{ snapshots }] = parts.resumed as [Resumed];
  t.deepEqual(snapshots.map(({ channelId, reason }) => `${channelId} ${reason}`).sort(), [
    ...['big away-too-long', 'small away-too-long'],
  ]);
});

test('a page that is refused becomes a snapshot, and a connection that ends in between begins again', async (t) => {
  const parts = await started(t, 'big', 'small');
  const resumes = parts.real.core.services.resumes!;
  const plain = resumes.page.bind(resumes);
  let pages = 0;
  resumes.page = (request) => {
    pages += 1;
    if (pages === 2) sessionOf(parts.real).end(1012, 'service restart');
    return pages === 4 ? undefined : plain(request);
  };
  const expected = await missMany(t, parts);
  t.deepEqual(ofBig(parts.texts), expected);
  t.true(pages >= 4);
});
