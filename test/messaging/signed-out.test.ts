import test from 'ava';
import type { Row } from '../../src/core/row.ts';
import { TOKEN_REVOKED } from '../../src/core/kinds/token.ts';
import { tokenKey } from '../../src/core/row-key.ts';
import type { ActorId } from '../../src/core/ids.ts';
import { SignedOutDevices } from '../../src/messaging/moderation/signed-out.ts';
import { startCoreTrio } from '../support/core-trio.ts';
import { uid } from '../support/ids.ts';
import { RecordingSession } from '../support/lone-core.ts';
import { until } from '../support/until.ts';

const ANN = uid('ann');

test('a device that quits on one node quits on the others, and its token ends there too', async (t) => {
  const { nodes } = await startCoreTrio(t);
  const [one, two] = nodes.map(({ core }) => core.services) as [
    (typeof nodes)[0]['core']['services'],
    (typeof nodes)[0]['core']['services'],
  ];
  await one.directory.setToken(ANN, 1, { token: 's', level: 1 });
  await until('node 2 knows the token', () => two.directory.checkToken(ANN, 1, 's').ok);
  const [web, app] = [new RecordingSession('ann', 1), new RecordingSession('ann', 0)];
  await two.sessions.attach(web);
  await two.sessions.attach(app);
  await one.moderation!.quitDevice(ANN, 1);
  await until('the session on node 2 ended', () => web.kicked !== undefined);
  t.is(app.kicked, undefined);
  t.false(two.directory.checkToken(ANN, 1, 's').ok);
  await one.directory.setToken(ANN, 1, { token: 'new', level: 1 });
  await until('the next token is good', () => two.directory.checkToken(ANN, 1, 'new').ok);
});

test('what a node learns of the past, or had lost and got back, signs nobody out', (t) => {
  const session = new RecordingSession('ann', 1);
  const devices = new SignedOutDevices({ sessionsOf: () => [session] });
  const entry = { actor: 'a1b2c3d4e5f60718' as ActorId, counter: 1, hlc: 1, tag: TOKEN_REVOKED };
  const after: Row = [{ ...entry, context: [], value: new Uint8Array(0) }];
  const change = { key: tokenKey(ANN, 1), before: [], after };
  const operation = { actor: entry.actor, shard: 0, first: 1, count: 1, hlc: 1, writes: [] };
  devices.onDurable({ changes: [change], own: false });
  devices.onDurable({ operation, changes: [{ ...change, restored: true }], own: false });
  devices.onDurable({ operation, changes: [{ ...change, before: after }], own: false });
  t.is(session.kicked, undefined);
  devices.onDurable({ operation, changes: [change], own: false });
  t.is(session.kicked, 'signed out');
});
