import { randomBytes } from 'node:crypto';
import type { Runtime, Timer } from './port.ts';

/** The real clock, randomness and timers. */
export const systemRuntime: Runtime = {
  clock: { wallMs: () => Date.now(), monotonicMs: () => performance.now() },
  random: { bytes: (length) => randomBytes(length), fraction: () => Math.random() },
  timers: {
    after(delayMs, task): Timer {
      const handle = setTimeout(task, delayMs).unref();
      return { cancel: () => clearTimeout(handle) };
    },
    soon: (task) => void setImmediate(task),
  },
};
