import type { DotRange } from '../../core/dot.ts';
import type { ActorId, ChannelKey } from '../../core/ids.ts';
import { splitRowKey } from '../../core/row-key.ts';
import { RECALL } from '../../core/row.ts';
import { VersionVector, type VectorRow } from '../../core/version-vector.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { RecentMessages } from './recent-messages.ts';

const PAGE_BYTES = 2 * 1024 * 1024;
const PAGES_MAX = 64;

/**
 * Reads from the log what was written last before this run, so that a node that comes back can go on with
 * clients that were told of less. `known`: what was on disk at the start; `dotsMax`: of all runs together.
 */
export async function loadRecent(
  recent: RecentMessages,
  replica: Pick<Replica, 'operations'>,
  { known, dotsMax }: { readonly known: readonly VectorRow[]; readonly dotsMax: number },
): Promise<void> {
  if (known.length === 0) return;
  recent.beginLoad();
  try {
    await load(recent, replica, { known, dotsMax });
  } finally {
    recent.endLoad();
  }
}

async function load(
  recent: RecentMessages,
  replica: Pick<Replica, 'operations'>,
  { known, dotsMax }: { readonly known: readonly VectorRow[]; readonly dotsMax: number },
): Promise<void> {
  const each = Math.max(1, Math.floor(dotsMax / known.length));
  const wanted = known.map(({ actor, shard, base, above }): DotRange => {
    const to = above.at(-1) ?? base;
    return { actor, shard, from: Math.max(1, to - each + 1), to };
  });
  const got = new VersionVector();
  for (let page = 0; page < PAGES_MAX; page++) {
    const ranges = got.missing(wanted.map(rowOf));
    if (ranges.length === 0) break;
    const answer = await replica.operations(ranges, PAGE_BYTES);
    for (const { actor, first, writes } of answer.operations) {
      for (const { key, tag, offset } of writes) {
        if (key[0] === 'm' && tag !== RECALL) note(recent, key, { actor, counter: first + offset });
      }
    }
    for (const range of answer.covered) got.add(range);
    if (!answer.more) break;
  }
  recent.lowerFloor(
    known.map((row, i) => {
      const range = wanted[i]!;
      return { ...row, base: got.coversRange(range) ? range.from - 1 : range.to, above: [] };
    }),
  );
}

function rowOf({ actor, shard, from, to }: DotRange): VectorRow {
  return { actor, shard, base: 0, above: [from, to] };
}

function note(
  recent: RecentMessages,
  key: string,
  dot: { readonly actor: ActorId; readonly counter: number },
): void {
  const [channel, seq] = splitRowKey(key)?.parts ?? [];
  if (channel === undefined || seq === undefined) return;
  recent.noteLoaded(channel as ChannelKey, { ...dot, messageSeq: Number.parseInt(seq, 16) });
}
