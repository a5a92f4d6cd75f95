import { LevelStoreLocation } from '../../../src/storage/level-store.ts';
import { systemRuntime } from '../../../src/runtime/system.ts';

// Writes operations of two rows for ever and prints the number of each that is durable.
const store = await new LevelStoreLocation({
  path: process.argv[2]!,
  runtime: systemRuntime,
}).open();
for (let i = 0; ; i++) {
  const value = new Uint8Array(100);
  store.stage(
    [
      { key: `a${i}`, value },
      { key: `b${i}`, value },
    ],
    () => console.log(i),
  );
  if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
}
