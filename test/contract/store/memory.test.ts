import test from 'ava';
import { MemoryStoreLocation } from '../../../src/storage/memory-store.ts';
import { testRuntime } from '../../support/runtime.ts';
import { storeContract } from './contract.ts';
import { storeProperties } from './properties.ts';

function makeBench() {
  const location = new MemoryStoreLocation({ runtime: testRuntime, retryMinMs: 5, flushMs: 1 });
  return Promise.resolve({
    location,
    failDisk: () => location.fail(),
    healDisk: () => location.heal(),
    remove: () => Promise.resolve(),
  });
}

storeContract(test, 'memory', makeBench);
storeProperties(test, 'memory', makeBench);
