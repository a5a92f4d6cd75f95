import type { ConfigSource } from '../../config/config-source.ts';
import type { ListenerSet } from '../../connections/listeners.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { Ground } from '../adapters.ts';
import { wireReloads } from '../metrics/reloads.ts';
import type { ReloadParts } from './apply.ts';
import { FileWatch } from './file-watch.ts';
import type { LiveConfig } from './live-config.ts';
import { Reloader } from './reloader.ts';

export interface ReloadWiring {
  readonly ground: Ground;
  readonly live: LiveConfig;
  readonly listeners: ListenerSet;
  readonly metrics: Metrics;
  readonly parts: () => ReloadParts | undefined;
}

export interface Reloading {
  readonly reloads: Reloader;
  stop(): void;
}

/** The reloads of a node, and the watch of its file. */
export function createReloads(wiring: ReloadWiring, source: ConfigSource): Reloading {
  const { ground, live, listeners, metrics, parts } = wiring;
  const onOutcome = wireReloads(metrics, listeners);
  const { read: reread, path } = source;
  const log = ground.log.child({ room: 'config' });
  const reloads = new Reloader({ ground, live, listeners, parts, reread, log, onOutcome });
  const { reloadCheckSeconds } = ground.config.node;
  if (path === undefined || reloadCheckSeconds === 0) return { reloads, stop() {} };
  const watch = new FileWatch({
    ...{ path, everyMs: reloadCheckSeconds * 1000, timers: ground.runtime.timers },
    async onChange() {
      // While the node is not up the next look tries again, in silence.
      if (!parts()) return false;
      await reloads.reload('file');
      return true;
    },
  });
  return { reloads, stop: () => watch.stop() };
}
