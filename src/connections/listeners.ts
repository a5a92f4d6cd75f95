import type { Log } from '../observability/log.ts';
import type { Clock } from '../runtime/port.ts';
import { ListenerError } from './listener-port.ts';
import type {
  DrainRequest,
  ListenerChange,
  ListenerName,
  Listeners,
  ListenerState,
} from './listener-port.ts';

/** One listener of the running node; a OneBot forward listener becomes one more of them. */
export interface ListenerUnit {
  address(): string;
  connections(): number;
  /** Ends every connection of it before it resolves (S3-1). */
  disable(retryAfterSeconds: number): Promise<{ ended: number; terminated: number }>;
  enable(): Promise<void>;
}

export interface DrainableUnit extends ListenerUnit {
  /** Resolves when all sessions have gone elsewhere, or it was called off. */
  drain(request: DrainRequest): Promise<unknown>;
}

export interface Units {
  readonly client: DrainableUnit;
  readonly http: ListenerUnit;
}

export interface ListenerSetOptions {
  /** Those of the node's present life; undefined while it starts, stops or is rebuilt. */
  readonly units: () => Units | undefined;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Those that the configuration starts disabled. */
  readonly disabled?: readonly ListenerName[] | undefined;
}

interface Entry {
  state: ListenerState['state'];
  sinceMs: number;
  retryAfterSeconds: number;
  toggles: number;
  last: Promise<unknown>;
}

const RETRY_SECONDS = 5;

/** What an operator wants of each listener, which outlives a rebuild of the node. */
export class ListenerSet implements Listeners {
  readonly #options: ListenerSetOptions;
  readonly #entries: Readonly<Record<ListenerName, Entry>> = { client: fresh(), http: fresh() };

  constructor(options: ListenerSetOptions) {
    this.#options = options;
    for (const name of options.disabled ?? []) {
      Object.assign(this.#entries[name], { state: 'disabled', retryAfterSeconds: RETRY_SECONDS });
    }
  }

  list(): readonly ListenerState[] {
    const names = Object.keys(this.#entries) as ListenerName[];
    return names.map((name) => this.#view(name));
  }

  /** Changes of state since the start of the process. */
  toggles(name: ListenerName): number {
    return this.#entries[name].toggles;
  }

  enable(name: ListenerName): Promise<ListenerChange> {
    return this.#inTurn(name, async (entry) => {
      if (entry.state === 'enabled') return this.#changed(name, false);
      await this.#units()[name].enable();
      this.#become(name, 'enabled');
      return this.#changed(name, true);
    });
  }

  disable(name: ListenerName, retryAfterSeconds: number): Promise<ListenerChange> {
    return this.#inTurn(name, async (entry) => {
      const wasDisabled = entry.state === 'disabled';
      const unit = this.#units()[name];
      entry.retryAfterSeconds = retryAfterSeconds;
      if (!wasDisabled) this.#become(name, 'disabling');
      const ended = await unit.disable(retryAfterSeconds);
      if (!wasDisabled) this.#become(name, 'disabled');
      return { ...this.#changed(name, !wasDisabled), ...ended };
    });
  }

  drain(request: DrainRequest): number {
    const entry = this.#entries.client;
    const { client } = this.#units();
    if (entry.state !== 'enabled') {
      throw new ListenerError('illegal', `the client listener is ${entry.state}, it cannot drain`);
    }
    const sessions = client.connections();
    this.#become('client', 'draining');
    client.drain(request).catch((error: unknown) => {
      this.#options.log.error('the drain failed', { error });
    });
    return sessions;
  }

  /** For a new life of the node: what was disabled stays so. */
  async carryOver(): Promise<void> {
    for (const name of Object.keys(this.#entries) as ListenerName[]) {
      const { state, retryAfterSeconds } = this.#entries[name];
      if (state === 'draining') this.#become(name, 'enabled');
      if (state !== 'disabled' && state !== 'disabling') continue;
      await this.#units()[name].disable(retryAfterSeconds);
    }
  }

  #units(): Units {
    const units = this.#options.units();
    if (units) return units;
    throw new ListenerError('unavailable', 'the node starts, stops or is being rebuilt: try again');
  }

  #inTurn(name: ListenerName, work: (entry: Entry) => Promise<ListenerChange>) {
    const entry = this.#entries[name];
    const turn = entry.last.then(() => work(entry));
    entry.last = turn.catch(() => undefined);
    return turn;
  }

  #become(name: ListenerName, state: ListenerState['state']): void {
    const { clock, log } = this.#options;
    const entry = this.#entries[name];
    log.info('a listener changes', { listener: name, from: entry.state, to: state });
    entry.state = state;
    entry.sinceMs = clock.wallMs();
    if (state !== 'disabling') entry.toggles += 1;
  }

  #changed(name: ListenerName, changed: boolean): ListenerChange {
    return { state: this.#view(name), changed, ended: 0, terminated: 0 };
  }

  #view(name: ListenerName): ListenerState {
    const { state, sinceMs } = this.#entries[name];
    const unit = this.#options.units()?.[name];
    return {
      ...{ name, state, sinceMs },
      address: unit?.address() ?? '',
      connections: unit?.connections() ?? 0,
    };
  }
}

function fresh(): Entry {
  return {
    ...{ state: 'enabled', sinceMs: 0, retryAfterSeconds: 0, toggles: 0 },
    last: Promise.resolve(),
  };
}
