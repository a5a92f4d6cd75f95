import type { PeerCalls } from '../cluster/calls/port.ts';
import type { MemberId } from '../core/ids.ts';
import type { ConnectionRow } from '../core/kinds/connection.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime, Timer } from '../runtime/port.ts';
import type { ConnectionLedger } from './ledger.ts';
import type { Quorum } from './quorum.ts';
import { withoutSecrets } from './port.ts';

export interface TwinOptions {
  readonly quorum: Quorum;
  readonly calls: Pick<PeerCalls, 'answer'>;
  readonly ledger: Pick<ConnectionLedger, 'read' | 'step'>;
  readonly runtime: Pick<Runtime, 'timers'>;
  readonly log: Log;
}

const LOST = 'connections/lost';
const NOTE = 'lost-twin';
const TELL_MS = 2_000;
const TELLS_MAX = 30;
const WAITING_MAX = 1_000;
const TEXT_LENGTH_MAX = 200;

/**
 * Connections of one id that two members created while they did not hear each other. Of the two rows one
 * survives; who had the other says so in its log, and asks the survivor's owner to write it in the journal,
 * for a connection must not vanish without a trace.
 */
export class Twins {
  readonly #options: TwinOptions;
  readonly #waiting = new Set<Timer>();
  #isStopped = false;

  constructor(options: TwinOptions) {
    this.#options = options;
    options.calls.answer(LOST, (from, body) => this.#onLost(from, body));
  }

  /** What the row here was, and what it is now. */
  onDurable(before: ConnectionRow, after: ConnectionRow): void {
    const { quorum, log } = this.#options;
    if (before.owner !== quorum.self || !isTwin(before, after)) return;
    const { id, kind, state, version, attempt } = before;
    const target = withoutSecrets(before.target);
    const winner = after.owner;
    const lost = { id, kind, target, state, version, attempt, winner };
    log.warn('a connection that was created here was lost to one of the same id', lost);
    const was = `${kind}, ${state}, version ${version}`;
    this.#tell(id, `one that ${quorum.self} had created (${was}) was lost to this one`);
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#waiting) timer.cancel();
    this.#waiting.clear();
  }

  #tell(id: string, text: string, times = 1): void {
    const { quorum, ledger, runtime, log } = this.#options;
    const owner = ledger.read(id)?.owner;
    if (this.#isStopped || owner === undefined) return;
    void quorum.ask(owner, LOST, [id, text]).then((answer) => {
      if (answer === true || this.#isStopped) return;
      if (times >= TELLS_MAX || this.#waiting.size >= WAITING_MAX) {
        log.warn('the loss of a connection is in no journal', { id, owner });
        return;
      }
      const timer = runtime.timers.after(TELL_MS, () => {
        this.#waiting.delete(timer);
        this.#tell(id, text, times + 1);
      });
      this.#waiting.add(timer);
    });
  }

  /** True once the journal says it. */
  async #onLost(from: MemberId, body: unknown): Promise<boolean> {
    const [id, text] = Array.isArray(body) ? (body as readonly unknown[]) : [];
    if (typeof id !== 'string' || typeof text !== 'string') return false;
    const { ledger, quorum } = this.#options;
    const row = ledger.read(id);
    if (!row || row.removed) return true;
    if (row.owner !== quorum.self) return false;
    const note = text.slice(0, TEXT_LENGTH_MAX);
    const isSaid = row.journal.some(({ event, reason }) => event === NOTE && reason.includes(note));
    // An answer that was lost makes the other ask again.
    if (isSaid) return true;
    const reason = `${note}; ${row.reason}`;
    await ledger.step(row, { event: NOTE, actor: from, reason });
    return true;
  }
}

/** Each owner after the first raises the epoch, so two owners of one epoch are two creations. */
function isTwin(before: ConnectionRow, after: ConnectionRow): boolean {
  if (before.removed || after.owner === before.owner) return false;
  if (after.epoch === before.epoch) return true;
  const [first] = after.journal;
  const isCreation = first?.event === 'create' && first.epoch > before.epoch;
  return isCreation && first.version <= before.version;
}
