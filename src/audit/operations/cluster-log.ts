import { z } from 'zod';
import { askMembers, type AskOptions } from '../ask-members.ts';
import { logEntries } from '../explain/facts.ts';
import type { ClusterLog, LogEntry, LogFilter } from './port.ts';

const METHOD = 'operation-log';
/** Lines that one member answers with: about 150 bytes each. */
export const LOG_LINES_MAX = 1_000;
const TIMEOUT_MS = 3_000;

const filterShape = z.object({
  uid: z.string().max(1024).optional(),
  channel: z.string().max(1024).optional(),
  cause: z.string().max(256).optional(),
  sinceMs: z.number().optional(),
  limit: z.number().int().min(1).max(LOG_LINES_MAX),
});

interface OwnLog {
  query(filter: LogFilter): Promise<readonly LogEntry[]>;
}

/** The operation logs of all members as one. */
export class ClusterOperationLog {
  readonly #ask: AskOptions;
  readonly #own: OwnLog;

  constructor(ask: AskOptions, own: OwnLog) {
    this.#ask = ask;
    this.#own = own;
    ask.calls?.answer(METHOD, (_from, body) => own.query(filterShape.parse(body)));
  }

  async query(filter: LogFilter): Promise<ClusterLog> {
    const limit = Math.min(filter.limit, LOG_LINES_MAX);
    const body = { ...filter, limit };
    const { answers, silent } = await askMembers<readonly LogEntry[]>(this.#ask, {
      ...{ method: METHOD, body, timeoutMs: TIMEOUT_MS },
      own: () => this.#own.query(body),
      parse: (answer) => logEntries.parse(answer),
    });
    const entries = answers
      .flatMap(({ member, answer }) => answer.map((line) => ({ ...line, member })))
      .toSorted((a, b) => b.atMs - a.atMs)
      .slice(0, limit);
    return { entries, silent };
  }
}
