import test from 'ava';
import type { Repair } from '../../src/audit/port.ts';
import { liveEntries, REMOVAL } from '../../src/core/row.ts';
import { subscriptionKey } from '../../src/core/row-key.ts';
import type { Replica } from '../../src/storage/replica-port.ts';
import type { Store } from '../../src/storage/port.ts';
import { encodeRow } from '../../src/storage/row-codec.ts';
import { startCoreTrio } from '../support/core-trio.ts';
import { group, uid } from '../support/ids.ts';
import { RecordingSession } from '../support/lone-core.ts';
import { until } from '../support/until.ts';
import { startVirtualCore } from './virtual-core.ts';

const ROOM = group('room');
const USER = uid('user');
const KEY = subscriptionKey(ROOM, USER);

/** Turns the subscription into a removal that nobody made; its checksum holds. */
function forge({ replica, store }: { replica: Pick<Replica, 'read'>; store: Store }): void {
  const forged = replica
    .read(KEY)
    .map((entry) => ({ ...entry, tag: REMOVAL, value: new Uint8Array() }));
  store.stage([{ key: KEY, value: encodeRow(KEY, forged) }]);
}

test('S2-3 invariant 4: a removal on one disk that nobody made takes nobody out of a channel', async (t) => {
  const { nodes } = await startCoreTrio(t, { sweep: { intervalMs: 600_000 }, auditPace: 5 });
  const third = nodes[2]!;
  const session = new RecordingSession('user');
  const leaves: string[] = [];
  session.leave = (channel) => void leaves.push(channel);
  await third.core.services.sessions.attach(session);
  const asked = { channel: ROOM, uids: [USER], cause: 'http', waitFor: 'all' } as const;
  t.true((await third.core.services.subscriptions.subscribe(asked)).ok);
  await until('every node has it', () =>
    nodes.every(({ core }) => core.services.subscriptions.isSubscribed(ROOM, USER)),
  );
  const repairs: Repair[] = [];
  third.core.repairs.add({ onRepair: (repair) => void repairs.push(repair) });
  forge({ replica: third.core.replica, store: third.store });
  t.false(third.core.services.subscriptions.isSubscribed(ROOM, USER));
  await until('the row is what the others say', () =>
    third.core.services.subscriptions.isSubscribed(ROOM, USER),
  );
  t.deepEqual(leaves, []);
  t.is(third.core.routing.entryOf(ROOM, USER), 'joined');
  t.deepEqual(
    repairs.map(({ layer, action, cause }) => `${layer} ${action} ${cause}`),
    ['peers restored altered-row'],
  );
  t.is(liveEntries(third.core.replica.read(KEY)).length, 1);
});

test('S2-3 a removal that the index was not told of is followed where no other member says more', async (t) => {
  const { core, store, runtime, repairs, attach, subscribe } = await startVirtualCore();
  const session = await attach('user');
  await subscribe(ROOM, 'user');
  await runtime.advance(3_000);
  forge({ replica: core.replica, store });
  await runtime.advance(5_000);
  t.false(session.hasJoined(ROOM));
  t.true(repairs.some(({ cause }) => cause === 'entry-without-subscription'));
});
