import { EMPTY_CONTEXT } from '../../../src/core/context.ts';
import { encodeFloor, FLOOR } from '../../../src/core/kinds/floor.ts';
import { encodeMessage } from '../../../src/core/kinds/message.ts';
import type { Draft } from '../../../src/core/operation.ts';
import { shardOf } from '../../../src/core/placement.ts';
import { floorKey, messageKey } from '../../../src/core/row-key.ts';
import type { ReplicatedStore } from '../../../src/storage/replica.ts';
import { group, uid } from '../../support/ids.ts';
import { testRuntime } from '../../support/runtime.ts';

const channel = group('g');
const shard = shardOf(channel);

/** Messages of 2 KB that do not compress, numbered from 1. */
export async function filledReplica(replica: ReplicatedStore, count: number) {
  for (let first = 1; first <= count; first += 200) {
    const drafts = Array.from({ length: 200 }, (_, i) => draftOf(replica, first + i));
    await new Promise<void>((resolve) => {
      replica.submit(shard, drafts, resolve);
    });
  }
  return {
    raise(seq: number): void {
      const value = encodeFloor({ seq, reason: 'size', atMs: 1 });
      const key = floorKey(channel);
      replica.submit(shard, [{ key, tag: FLOOR, context: EMPTY_CONTEXT, value }]);
    },
  };
}

function draftOf(replica: ReplicatedStore, seq: number): Draft {
  const value = encodeMessage({
    ...{ messageId: BigInt(seq), messageSeq: seq, clientMsgNo: '', fromUid: uid('u') },
    ...{ timestamp: 1, payload: testRuntime.random.bytes(2_048), noPersist: false, redDot: true },
    ...{ syncOnce: false, setting: 0, topic: '', expire: 0 },
  });
  return { key: messageKey(channel, seq, replica.actor), tag: 0, context: EMPTY_CONTEXT, value };
}
