import test from 'ava';
import fc from 'fast-check';
import type { ActorId } from '../../../src/core/ids.ts';
import { shardOf } from '../../../src/core/placement.ts';
import { VersionVector } from '../../../src/core/version-vector.ts';
import {
  RecentMessages,
  type RecentMessage,
} from '../../../src/messaging/resume/recent-messages.ts';
import { group } from '../../support/ids.ts';

const CHANNELS = ['a', 'b', 'c', 'd'].map(group);
const ACTORS = ['1', '2', '3'].map((digit) => digit.repeat(16) as ActorId);

interface Noted extends RecentMessage {
  readonly channel: (typeof CHANNELS)[number];
}

/** Each actor numbers its own writes of a shard; they come in any order of the actors. */
function notes(choices: readonly (readonly [number, number])[]): readonly Noted[] {
  const counters = new Map<string, number>();
  return choices.map(([c, a], i) => {
    const [channel, actor] = [CHANNELS[c]!, ACTORS[a]!];
    const name = `${actor} ${shardOf(channel)}`;
    const counter = (counters.get(name) ?? 0) + 1;
    counters.set(name, counter);
    return { channel, actor, counter, messageSeq: i + 1 };
  });
}

test('what a vector lacks is found, of a ring that is full just as of one that is not', (t) => {
  const choice = fc.tuple(fc.nat(3), fc.nat(2));
  let refused = 0;
  fc.assert(
    fc.property(
      fc.array(choice, { minLength: 10, maxLength: 30 }),
      fc.integer({ min: 1, max: 200 }),
      fc.float({ min: 0, max: 1, noNaN: true }),
      (pattern, repeats, share) => {
        const all = notes(Array.from({ length: repeats }, () => pattern).flat());
        const recent = new RecentMessages([], 2_048);
        for (const note of all) recent.note(note.channel, note);
        const seen = all.slice(0, Math.floor(all.length * share));
        const vector = new VersionVector();
        for (const { channel, actor, counter } of seen) {
          vector.add({ actor, shard: shardOf(channel), from: counter, to: counter });
        }
        for (const channel of CHANNELS) {
          const start = recent.startOf(vector, shardOf(channel));
          if (start === undefined) {
            refused += 1;
            if (all.length - seen.length <= 1_024) return false;
            continue;
          }
          const missed = all.slice(seen.length).filter((note) => note.channel === channel);
          const found = [...recent.missing(channel, { vector, start })];
          const seqs = found.map(({ messageSeq }) => messageSeq).reverse();
          t.deepEqual(
            seqs,
            missed.map(({ messageSeq }) => messageSeq),
          );
        }
        return true;
      },
    ),
    { numRuns: 60 },
  );
  t.true(refused > 0);
});

test('what was written before this run is owed to nobody who had not seen it, until it is read', (t) => {
  const [channel, actor] = [CHANNELS[0]!, ACTORS[0]!];
  const shard = shardOf(channel);
  const recent = new RecentMessages([{ actor, shard, base: 10, above: [] }]);
  const behind = new VersionVector();
  behind.add({ actor, shard, from: 1, to: 7 });
  t.is(recent.startOf(behind, shard), undefined);
  recent.note(channel, { actor, counter: 8, messageSeq: 80 });
  recent.note(channel, { actor, counter: 10, messageSeq: 100 });
  recent.lowerFloor([{ actor, shard, base: 7, above: [] }]);
  const start = recent.startOf(behind, shard)!;
  const found = [...recent.missing(channel, { vector: behind, start })];
  t.deepEqual(
    found.map(({ messageSeq }) => messageSeq),
    [100, 80],
  );
});

test('invariant 13 what came into a gap of the disk before the log is read is in there once', (t) => {
  const [channel, actor] = [CHANNELS[0]!, ACTORS[0]!];
  const shard = shardOf(channel);
  const at = (counter: number): RecentMessage => ({ actor, counter, messageSeq: counter });
  const recent = new RecentMessages([{ actor, shard, base: 3, above: [5, 9] }]);
  recent.note(channel, at(4));
  recent.beginLoad();
  recent.noteLoaded(channel, at(3));
  recent.noteLoaded(channel, at(4));
  recent.note(channel, at(5));
  recent.noteLoaded(channel, at(5));
  recent.noteLoaded(channel, at(6));
  recent.endLoad();
  recent.lowerFloor([{ actor, shard, base: 2, above: [] }]);
  const vector = new VersionVector();
  vector.add({ actor, shard, from: 1, to: 2 });
  const start = recent.startOf(vector, shard)!;
  const found = [...recent.missing(channel, { vector, start })];
  t.deepEqual(
    found.map(({ counter }) => counter).toSorted((a, b) => a - b),
    [3, 4, 5, 6],
  );
});
