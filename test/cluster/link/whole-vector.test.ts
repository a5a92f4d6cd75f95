import test from 'ava';
import { decodePeerMessage, encodePeerMessage } from '../../../src/cluster/link/codec.ts';
import type { Heartbeat, Hello } from '../../../src/cluster/link/message.ts';
import { LinkEnd } from '../../../src/cluster/replication/link-end.ts';
import { REPLICATION_LIMITS } from '../../../src/cluster/replication/options.ts';
import type { Link } from '../../../src/cluster/link/port.ts';
import type { ActorId, MemberId } from '../../../src/core/ids.ts';
import { SHARDS } from '../../../src/core/placement.ts';
import { VersionVector, type VectorRow } from '../../../src/core/version-vector.ts';

const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

/** Actors that ended after up to 1,000 writes in each shard. */
function rowsOf(actors: number): VectorRow[] {
  return Array.from({ length: actors * SHARDS }, (_, i) => {
    const actor = (0x9e37_0000_0000 + Math.floor(i / SHARDS)).toString(16).padStart(16, '0');
    return {
      actor: actor as ActorId,
      shard: i % SHARDS,
      base: 1 + ((i * 7919) % 1_000),
      above: [],
    };
  });
}

function hello(vector: readonly VectorRow[]): Hello {
  return {
    ...{ type: 'hello', cluster: 'test', protocolMin: 1, protocolMax: 1 },
    ...{ member: 'y' as MemberId, slot: 1, slots: 32, rosterEpoch: 1 },
    ...{ storeId: 'a'.repeat(16), lineage: 'b'.repeat(16), actor: 'c'.repeat(16) as ActorId },
    ...{ vector, closed: { count: 0, low: 0, high: 0 }, whole: true, catchingUp: false },
  };
}

function heartbeat(changed: readonly VectorRow[]): Heartbeat {
  return {
    ...{ type: 'heartbeat', wallMs: 1, changed, vectorHash: 1, wantVector: false },
    ...{ catchingUp: false, interestVersion: 0, interestDigest: 0, transients: 0 },
  };
}

for (const [what, messageOf] of [
  ['Hello', hello],
  ['heartbeat on request', heartbeat],
] as const) {
  test(`a ${what} with the whole vector of 20,000 ended actors fits a message, and is believed`, (t) => {
    const rows = rowsOf(20_000);
    const { kind, payload } = encodePeerMessage(messageOf(rows));
    t.log(`${payload.length} bytes`);
    t.true(payload.length < MESSAGE_BYTES_MAX * 0.6, `${payload.length}`);
    const decoded = decodePeerMessage(kind, payload);
    if (!decoded.ok) return t.fail(decoded.error);
    const { value } = decoded;
    const read =
      value.type === 'hello' ? value.vector : value.type === 'heartbeat' && value.changed;
    if (!read) return t.fail(value.type);
    const link: Link = {
      peer: 'y' as MemberId,
      send: () => true,
      bufferedBytes: () => 0,
      close: () => {},
    };
    const { vectorRowsMax: rowsMax } = REPLICATION_LIMITS;
    const end = new LinkEnd(link, 'opened', { nowMs: 0, rowsMax });
    t.true(end.takeRows(read));
    const all = new VersionVector();
    all.addAll(rows);
    t.is(end.vector.hash(), all.hash());
  });
}

test('the same actor as before, where none was before, is malformed', (t) => {
  const { kind, payload } = encodePeerMessage(heartbeat(rowsOf(1)));
  const at = payload.findIndex((byte, i) => byte === 0xb0 && payload[i + 1] === 0x30);
  t.true(at > 0);
  const broken = new Uint8Array([...payload.subarray(0, at), 0, ...payload.subarray(at + 17)]);
  const decoded = decodePeerMessage(kind, broken);
  t.false(decoded.ok);
});
