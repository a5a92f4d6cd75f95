import test from 'ava';
import * as fc from 'fast-check';
import type { Uid } from '../../src/core/ids.ts';
import {
  decodeMessage,
  encodeMessage,
  tombstoneOf,
  type Message,
  type Recall,
} from '../../src/core/kinds/message.ts';
import { entryOf, replace, type Operation } from '../../src/core/operation.ts';
import { EMPTY_ROW, mergeRows, RECALL, type Row } from '../../src/core/row.ts';
import type { RowKey } from '../../src/core/row-key.ts';
import { ACTORS } from './arbitraries.ts';

const KEY = 'm0\u0001c\u00010000000000001\u0001aaaaaaaaaaaaaaaa' as RowKey;
const MESSAGE: Message = {
  ...{ messageId: 2n ** 60n + 1n, messageSeq: 33, clientMsgNo: 'n-1', fromUid: 'u' as Uid },
  ...{ timestamp: 1, payload: new Uint8Array([1, 2, 3]), noPersist: false, redDot: true },
  ...{ syncOnce: false, setting: 8, topic: 'what was said', expire: 7 },
};

const recall: fc.Arbitrary<Recall> = fc.record({
  by: fc.string({ maxLength: 8 }),
  role: fc.constantFrom('sender', 'owner', 'manager', 'api'),
  atMs: fc.nat(),
  reason: fc.string({ maxLength: 20 }),
});

function operationOf(at: number, row: Row, tombstone: Recall | undefined): Operation {
  const message = tombstone ? tombstoneOf(MESSAGE, tombstone) : MESSAGE;
  const put = { key: KEY, tag: tombstone ? RECALL : 0, value: encodeMessage(message) };
  const write = { offset: 0, ...replace(row, put, () => []) };
  const actor = ACTORS[at % ACTORS.length]!;
  return { actor, shard: 0, first: 1 + at, count: 1, hlc: 10 + at, writes: [write] };
}

function rowOf(operations: readonly Operation[]): Row {
  return operations.reduce<Row>(
    (row, operation) => mergeRows('once', row, [entryOf(operation, operation.writes[0]!)]),
    EMPTY_ROW,
  );
}

test('S1-6 a recall wins in any order: whoever has one of several never shows the content', (t) => {
  const plays = fc.tuple(
    fc.array(recall, { minLength: 1, maxLength: 4 }),
    fc.array(fc.nat(), { minLength: 8, maxLength: 8 }),
  );
  fc.assert(
    fc.property(plays, ([recalls, draws]) => {
      const sent = operationOf(0, EMPTY_ROW, undefined);
      const known = rowOf([sent]);
      const operations = [sent, ...recalls.map((one, i) => operationOf(i + 1, known, one))];
      const orders = [operations, operations.toReversed(), shuffled(operations, draws)];
      const rows = orders.map((order) => rowOf([...order, order[0]!]));
      for (const row of rows) {
        t.is(row.length, 1);
        t.is(row[0]!.tag, RECALL);
        t.is(decodeMessage(row[0]!.value)!.payload.length, 0);
        t.deepEqual(row, rows[0]);
      }
      // On the way too: from the first recall on nothing of the content is there.
      const order = shuffled(operations, draws);
      const from = order.findIndex(({ writes }) => writes[0]!.tag === RECALL);
      for (let end = from + 1; end <= order.length; end++) {
        t.is(rowOf(order.slice(0, end))[0]!.tag, RECALL);
      }
    }),
    { numRuns: 200 },
  );
});

test('S1-4 a tombstone keeps who, in what role, when and why, and nothing that was said', (t) => {
  fc.assert(
    fc.property(recall, (one) => {
      const decoded = decodeMessage(encodeMessage(tombstoneOf(MESSAGE, one)))!;
      const payload = new Uint8Array(0);
      t.deepEqual(
        { ...decoded, payload: Uint8Array.from(decoded.payload) },
        { ...MESSAGE, payload, topic: '', recall: one },
      );
    }),
  );
  const plain = decodeMessage(encodeMessage(MESSAGE))!;
  t.deepEqual({ ...plain, payload: Uint8Array.from(plain.payload) }, MESSAGE);
});

function shuffled<Item>(items: readonly Item[], draws: readonly number[]): Item[] {
  const rest = [...items];
  const result: Item[] = [];
  for (const draw of draws) {
    if (rest.length === 0) break;
    result.push(...rest.splice(draw % rest.length, 1));
  }
  return result;
}
