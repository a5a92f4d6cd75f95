import test from 'ava';
import { scanMerged, type ScanSource } from '../../src/storage/overlay.ts';
import { ReadTurns } from '../../src/storage/read-turns.ts';

test('so many reads run at once, the others in the order in which they came', async (t) => {
  const turns = new ReadTurns(2);
  const begun: number[] = [];
  for (let i = 0; i < 5; i++) {
    const turn = turns.turn();
    if (turn) void turn.then(() => begun.push(i));
    else begun.push(i);
  }
  t.deepEqual(begun, [0, 1]);
  for (const expected of [
    [0, 1, 2],
    [0, 1, 2, 3],
    [0, 1, 2, 3, 4],
  ]) {
    turns.done();
    await Promise.resolve();
    t.deepEqual(begun, expected);
  }
  turns.done();
  turns.done();
  t.is(turns.turn(), undefined);
  t.is(turns.turn(), undefined);
  t.truthy(turns.turn());
});

test('a scan that waits for its turn sees what was staged meanwhile; one that fails gives its turn back', async (t) => {
  const turns = new ReadTurns(1);
  const staged = new Map<string, Uint8Array>();
  let fails = false;
  const source: ScanSource = {
    groups: () => [staged],
    read: () => {
      if (fails) throw new Error('the disk is gone');
      return { rows: [], end: true };
    },
    turn: () => turns.turn(),
    done: () => turns.done(),
  };
  const scan = async (): Promise<string[]> => {
    const keys: string[] = [];
    for await (const chunk of scanMerged(source, { gte: 'a', lt: 'b' })) {
      keys.push(...chunk.map(([key]) => key));
    }
    return keys;
  };
  t.is(turns.turn(), undefined);
  const waiting = scan();
  await Promise.resolve();
  staged.set('aa', new Uint8Array([1]));
  turns.done();
  t.deepEqual(await waiting, ['aa']);
  fails = true;
  await t.throwsAsync(scan(), { message: 'the disk is gone' });
  fails = false;
  t.deepEqual(await scan(), ['aa']);
});
