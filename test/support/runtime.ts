import type { Runtime } from '../../src/runtime/port.ts';
import { systemRuntime } from '../../src/runtime/system.ts';

/** The real clock with timers that keep the process alive: a test has no sockets to do that. */
export const testRuntime: Runtime = {
  ...systemRuntime,
  timers: {
    after(delayMs, task) {
      const handle = setTimeout(task, delayMs);
      return { cancel: () => clearTimeout(handle) };
    },
    soon: (task) => void setImmediate(task),
  },
};
