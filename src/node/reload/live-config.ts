import type { Config } from '../../config/config.ts';
import type { Ground } from '../adapters.ts';

/** The configuration that a node runs by: what could not be applied without a restart is not in it yet. */
export class LiveConfig {
  #current: Config;

  constructor(config: Config) {
    this.#current = config;
  }

  current(): Config {
    return this.#current;
  }

  take(config: Config): void {
    this.#current = config;
  }
}

export function groundOf(live: LiveConfig, rest: Omit<Ground, 'config'>): Ground {
  return {
    ...rest,
    get config() {
      return live.current();
    },
  };
}
