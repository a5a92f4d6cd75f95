import test from 'ava';
import fc from 'fast-check';
import type { ActorId } from '../../../src/core/ids.ts';
import { VersionVector, type VectorRow } from '../../../src/core/version-vector.ts';
import { RESUME_TOKEN_LENGTH_MAX } from '../../../src/messaging/resume/port.ts';
import {
  encodeTokenBody,
  readToken,
  sealToken,
  type TokenContent,
} from '../../../src/messaging/resume/token.ts';
import { uid } from '../../support/ids.ts';

const ann = { uid: uid('ann'), lineage: 'here' };
const counter = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.maxSafeInteger().map(Math.abs));
const actor = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map((bytes) => Buffer.from(bytes).toString('hex') as ActorId);

const content: fc.Arbitrary<TokenContent> = fc
  .array(fc.tuple(actor, fc.nat(15), counter, counter), { maxLength: 60 })
  .map((ranges) => {
    const vector = new VersionVector();
    for (const [name, shard, a, b] of ranges) {
      vector.add({ actor: name, shard, from: Math.min(a, b) || 1, to: Math.max(a, b, 1) });
    }
    const closed = { count: ranges.length, low: 0xffff_ffff, high: ranges.length * 7 };
    return { openRows: [...vector.openRows()], closed };
  });

function sorted(rows: readonly VectorRow[]): readonly VectorRow[] {
  return rows.toSorted((a, b) => (a.actor + a.shard < b.actor + b.shard ? -1 : 1));
}

test('a token says what was put into it, to its owner alone', (t) => {
  fc.assert(
    fc.property(content, (put) => {
      const token = sealToken(encodeTokenBody(put)!, ann);
      const read = readToken(token, ann);
      t.true(read.ok);
      if (!read.ok) return;
      t.deepEqual(read.content.closed, put.closed);
      t.deepEqual(sorted(read.content.openRows), sorted(put.openRows));
      const reason = 'token-of-another';
      t.deepEqual(readToken(token, { ...ann, uid: uid('bob') }), { ok: false, reason });
      t.deepEqual(readToken(token, { ...ann, lineage: 'there' }), { ok: false, reason });
    }),
  );
});

test('garbage, and a token with any byte changed, is refused and never throws', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => !readToken(text, ann).ok),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      bytes[0] = 1;
      return !readToken(Buffer.from(bytes).toString('base64url'), ann).ok;
    }),
  );
  fc.assert(
    fc.property(content, fc.nat(), fc.integer({ min: 1, max: 255 }), (put, at, bits) => {
      const bytes = Buffer.from(sealToken(encodeTokenBody(put)!, ann), 'base64url');
      bytes[at % bytes.length]! ^= bits;
      return !readToken(bytes.toString('base64url'), ann).ok;
    }),
  );
  t.false(readToken('A'.repeat(RESUME_TOKEN_LENGTH_MAX + 1), ann).ok);
});

test('a token stays below its limit: islands go first, then there is none', (t) => {
  const islands = Array.from({ length: 128 }, (_, i) => 2 ** 40 + i * 2 ** 30);
  const row = (i: number, above: readonly number[]): VectorRow => {
    const name = (i >> 4).toString(16).padStart(16, '0') as ActorId;
    return { actor: name, shard: i & 15, base: 2 ** 40 - 3, above };
  };
  const closed = { count: 0, low: 0, high: 0 };
  const rows = (count: number, above: readonly number[]): VectorRow[] =>
    Array.from({ length: count }, (_, i) => row(i, above));
  const token = sealToken(encodeTokenBody({ openRows: rows(256, islands), closed })!, ann);
  t.true(token.length <= RESUME_TOKEN_LENGTH_MAX);
  const read = readToken(token, ann);
  t.deepEqual(read.ok && read.content.openRows, rows(256, []));
  t.is(encodeTokenBody({ openRows: rows(256 * 16, []), closed }), undefined);
});
