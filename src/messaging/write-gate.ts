import { REASON, refuse, type Refusal } from '../core/reason-code.ts';
import type { Store } from '../storage/port.ts';

export interface WriteGateOptions {
  readonly store: Store;
  /** False while a new or rebuilt store has not caught up with a peer. */
  readonly mayWrite: () => boolean;
  /** Staged and not yet durable bytes above which new work is refused. */
  readonly stagedBytesMax: number;
}

/** Whether this node takes writes now; every service asks it before it stages anything. */
export class WriteGate {
  readonly #options: WriteGateOptions;
  #stopping = false;

  constructor(options: WriteGateOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopping = true;
  }

  /** Undefined where a write may go on. */
  refusal(): Refusal | undefined {
    const { store, mayWrite, stagedBytesMax } = this.#options;
    if (this.#stopping) return refuse(REASON.systemError, 'the node is stopping');
    const status = store.status();
    if (status.state === 'failing') {
      return refuse(REASON.systemError, `the store cannot write: ${status.error.message}`);
    }
    if (!mayWrite()) {
      return refuse(REASON.systemError, 'the store is catching up with the cluster, no writes yet');
    }
    if (store.stagedBytes() > stagedBytesMax) {
      return refuse(REASON.systemError, 'too many writes wait for the disk');
    }
    return undefined;
  }
}
