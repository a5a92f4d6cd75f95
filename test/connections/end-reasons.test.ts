import test from 'ava';
import fc from 'fast-check';
import { endReason } from '../../src/connections/end-reasons.ts';
import type { ConnectionRow } from '../../src/core/kinds/connection.ts';

const ROW = {
  ...{ id: 'c', state: 'TIMEOUT', desired: 'enabled', owner: 'n1', removed: false },
  ...{ reason: 'closed with 1000', deadlineMs: 12_400, journal: [{ event: 'driver' }] },
} as unknown as ConnectionRow;
const RETRY = { event: 'retry' } as ConnectionRow['journal'][number];

function reasonOf(change: Partial<Record<keyof ConnectionRow, unknown>>): string {
  return endReason({ ...ROW, ...change } as ConnectionRow, { self: 'n1' as never, nowMs: 10_000 });
}

test('S3-2 the end of an attempt says whether it comes back, and when', (t) => {
  t.is(reasonOf({}), 'closed with 1000; comes back in 3 s');
  t.is(reasonOf({ deadlineMs: 1 }), 'closed with 1000; comes back in 1 s');
  t.is(reasonOf({ state: 'DISCONNECTED' }), 'closed with 1000; comes back in 3 s');
  t.is(reasonOf({ journal: [RETRY], reason: 'again' }), 'again; comes back at once');
  const cancelled = { desired: 'disabled', reason: 'cancelled', state: 'DISCONNECTED' };
  t.is(reasonOf(cancelled), 'cancelled; does not come back until an operator starts it');
  t.is(reasonOf({ owner: 'n2', reason: 'created' }), 'n2 goes on with it at once');
  t.is(reasonOf({ removed: true }), 'removed; does not come back');
  t.is(reasonOf({ state: 'OPENING' }), 'the next attempt begins at once');
});

test('whatever a driver gave as its reason, it fits into a Close frame', (t) => {
  const changes = fc.record({
    reason: fc.string({ unit: 'binary', maxLength: 300 }),
    desired: fc.constantFrom('enabled', 'disabled'),
    deadlineMs: fc.nat(),
  });
  fc.assert(
    fc.property(changes, (change) => {
      const text = reasonOf(change);
      return text.length <= 120 && Buffer.byteLength(text) === text.length;
    }),
  );
  t.pass();
});
