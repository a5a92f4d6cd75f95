/** One key of cluster.yml whose value is another one now. */
export interface ConfigChange {
  /** As in the file: `gateway.idle_seconds`. */
  readonly path: string;
  /** As JSON; never of what must not be shown. */
  readonly before: string;
  readonly after: string;
  /** False: it takes a restart of the node. */
  readonly live: boolean;
  /** What it means for what is open, or why it waits; may be empty. */
  readonly note: string;
}

/** What asked for it: the file changed, SIGHUP, or an operator. */
export type ReloadTrigger = 'file' | 'signal' | 'call';

/**
 * unchanged: nothing is applied, though some keys may wait for a restart. refused: the configuration is
 * wrong, or the node is not up, and nothing changed. rolled-back: an address could not be bound, and all
 * is as before.
 */
export type ReloadResult = 'unchanged' | 'applied' | 'refused' | 'rolled-back';

export interface ReloadOutcome {
  readonly result: ReloadResult;
  /** Those that were applied (`live`), and those that wait for a restart. Of a refused one none. */
  readonly changes: readonly ConfigChange[];
  /** Why it was refused or rolled back: all that is wrong, with file, line, key. */
  readonly errors: readonly string[];
  /** What an operator switched by hand and the file says otherwise: it stays so. */
  readonly kept: readonly string[];
  /** Sockets and calls that were ended because what let them in does not any more. */
  readonly ended: number;
}

export interface Reloads {
  /** One after the other; never rejects. */
  reload(trigger: ReloadTrigger): Promise<ReloadOutcome>;
}
