import type { Config, Secrets } from '../config/config.ts';

const NAMES = ['cluster.secret', 'http.manager_token', 'admin.token'] as const;
type Name = (typeof NAMES)[number];

/**
 * The secrets of a node as they are now: they rotate without a stop. Whoever proves one is asked for it
 * anew with each request, call and link; what is open stays.
 */
export class LiveSecrets {
  #current: Readonly<Record<Name, Secrets>>;

  constructor(config: Config) {
    this.#current = secretsOf(config);
  }

  /** The same array as long as nothing changed. */
  readonly cluster = (): Secrets => this.#current['cluster.secret'];
  readonly managerTokens = (): Secrets => this.#current['http.manager_token'];
  readonly adminTokens = (): Secrets => this.#current['admin.token'];

  /** Brings back those of now. */
  keep(): () => void {
    const kept = this.#current;
    return () => void (this.#current = kept);
  }

  /**
   * Takes those of a configuration that was read again. A secret that is not there any more stays as it
   * is: to open a port to everyone takes a new start.
   */
  take(config: Config): { readonly changed: readonly Name[]; readonly kept: readonly Name[] } {
    const next = secretsOf(config);
    const changed: Name[] = [];
    const kept: Name[] = [];
    for (const name of NAMES) {
      const [before, after] = [this.#current[name], next[name]];
      if (before.join('\n') === after.join('\n')) continue;
      if (after.length === 0) kept.push(name);
      else changed.push(name);
    }
    const taken = changed.map((name) => [name, next[name]] as const);
    this.#current = { ...this.#current, ...Object.fromEntries(taken) };
    return { changed, kept };
  }
}

function secretsOf({ cluster, http, admin }: Config): Readonly<Record<Name, Secrets>> {
  return {
    'cluster.secret': cluster.secrets,
    'http.manager_token': http.managerTokens,
    'admin.token': admin.tokens,
  };
}
