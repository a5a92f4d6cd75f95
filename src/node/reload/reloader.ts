import { compareConfigs } from '../../config/compare.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { formatConfigErrors } from '../../config/problem.ts';
import type { ReloadOutcome, Reloads, ReloadTrigger } from '../../config/reload-port.ts';
import type { Log } from '../../observability/log.ts';
import { switchedByHand, withSwitched } from './switched.ts';
import { applyChanges, type ApplyGround, type ReloadParts } from './apply.ts';

export interface ReloaderOptions extends ApplyGround {
  /** Reads the configuration as the start did: file, environment, command line. */
  readonly reread: () => LoadedConfig;
  /** Of the node's present life; undefined while it starts, stops or is rebuilt. */
  readonly parts: () => ReloadParts | undefined;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly onOutcome: (outcome: ReloadOutcome) => void;
}

const NOT_UP = 'the node starts, stops or is being rebuilt: try again';

/** S3-5: takes a changed cluster.yml while the node runs; a bad one changes nothing. */
export class Reloader implements Reloads {
  readonly #options: ReloaderOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ReloaderOptions) {
    this.#options = options;
  }

  reload(trigger: ReloadTrigger): Promise<ReloadOutcome> {
    const turn = this.#last.then(() => this.#reload(trigger));
    this.#last = turn;
    return turn;
  }

  async #reload(trigger: ReloadTrigger): Promise<ReloadOutcome> {
    const outcome = await this.#outcome().catch((error: unknown): ReloadOutcome => {
      this.#options.log.error('a reload failed by a defect', { error });
      return {
        result: 'refused',
        changes: [],
        errors: [`a defect: ${String(error)}`],
        ended: 0,
        kept: [],
      };
    });
    this.#tell(trigger, outcome);
    this.#options.onOutcome(outcome);
    return outcome;
  }

  async #outcome(): Promise<ReloadOutcome> {
    const parts = this.#options.parts();
    if (!parts) return { result: 'refused', changes: [], errors: [NOT_UP], ended: 0, kept: [] };
    const loaded = this.#options.reread();
    if (!loaded.ok) {
      const errors = loaded.errors.map((one) => oneLine(formatConfigErrors([one])));
      return { result: 'refused', changes: [], errors, ended: 0, kept: [] };
    }
    const { config: next } = loaded;
    const { listeners, live: running } = this.#options;
    const changes = withSwitched(listeners, compareConfigs(running.current(), next));
    if (!changes.some(({ live }) => live)) {
      const kept = switchedByHand(listeners, next);
      return { result: 'unchanged', changes, errors: [], ended: 0, kept };
    }
    const applied = await applyChanges(this.#options, parts, { next, changes });
    if (!applied.ok)
      return { result: 'rolled-back', changes: [], errors: applied.errors, ended: 0, kept: [] };
    const kept = switchedByHand(listeners, next);
    return { result: 'applied', changes, errors: [], ended: applied.ended, kept };
  }

  #tell(trigger: ReloadTrigger, outcome: ReloadOutcome): void {
    const { result, changes, errors, ended, kept } = outcome;
    const { log } = this.#options;
    const paths = (isLive: boolean) =>
      changes.filter(({ live }) => live === isLive).map(({ path }) => path);
    const fields = {
      trigger,
      result,
      applied: paths(true),
      needRestart: paths(false),
      ended,
      kept,
    };
    if (errors.length === 0) log.info('the configuration was read again', fields);
    else if (result === 'refused') {
      log.warn('the configuration is not taken, nothing changes', { trigger, errors });
    } else log.error('the configuration could not be applied', { trigger, errors });
  }
}

/** `file:line:column: key: found …, allowed: …` */
function oneLine(text: string): string {
  const [, ...lines] = text.split('\n').map((line) => line.trim());
  return lines.join('; ');
}
