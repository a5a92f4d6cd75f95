import type { ChannelKey, Uid } from '../core/ids.ts';
import { rangeEnd, reversePrefix } from '../core/row-key.ts';
import type { Runtime } from '../runtime/port.ts';
import { compareKeys } from './key-order.ts';
import type { Store } from './port.ts';

export interface ChannelReadAheadOptions {
  readonly store: Pick<Store, 'scan'>;
  readonly runtime: Pick<Runtime, 'clock'>;
  /** What was read along with another user's rows is believed for so long. */
  readonly ageMsMax: number;
}

const ROWS_MIN = 16;
const ROWS_MAX = 1_000;
const EVERY_USER = rangeEnd('u\u0001');

/** The rows of a key range, whole. */
interface Portion {
  readonly from: string;
  /** Exclusive. */
  readonly to: string;
  readonly keys: readonly string[];
  readonly readAtMs: number;
}

/**
 * The reverse rows of many users, one user after the other, for audits that look again at what they find.
 * A read of one user's rows costs 200 µs, nearly all of it for the iterator, and one of 1,000 rows not much
 * more. So rows of the users that follow are read along, the more of them the more were of use.
 */
export class ChannelReadAhead {
  readonly #options: ChannelReadAheadOptions;
  #portion: Portion | undefined;
  #rows = ROWS_MIN;
  #used = 0;

  constructor(options: ChannelReadAheadOptions) {
    this.#options = options;
  }

  /** As the disk was at most `ageMsMax` ago. Rejects with the store's error. */
  async channelsOf(uid: Uid): Promise<readonly ChannelKey[]> {
    const prefix = reversePrefix(uid);
    const end = rangeEnd(prefix);
    const { store, runtime, ageMsMax } = this.#options;
    const readAtMs = runtime.clock.monotonicMs();
    const known = this.#portion;
    if (known && readAtMs - known.readAtMs <= ageMsMax && covers(known, prefix, end)) {
      this.#used += 1;
      return channelsIn(known.keys, prefix);
    }
    this.#rows = Math.max(ROWS_MIN, Math.min(ROWS_MAX, this.#rows * (this.#used > 1 ? 4 : 0.25)));
    this.#used = 0;
    this.#portion = undefined;
    const limit = this.#rows;
    const keys: string[] = [];
    let to = EVERY_USER;
    // Rows of this user that are more than the limit are read to their end.
    for (let from = prefix; ;) {
      let rows = 0;
      for await (const chunk of store.scan({ gte: from, lt: EVERY_USER, limit })) {
        rows += chunk.length;
        for (const [key] of chunk) keys.push(key);
      }
      const last = keys.at(-1);
      if (rows < limit || last === undefined) break;
      // The rows of the last user may go on; a key is the first one after the last.
      to = `${last}\u0000`;
      if (compareKeys(end, to) <= 0) break;
      from = to;
    }
    if (keys.length <= ROWS_MAX) this.#portion = { from: prefix, to, keys, readAtMs };
    return channelsIn(keys, prefix);
  }
}

function covers({ from, to }: Portion, prefix: string, end: string): boolean {
  return compareKeys(from, prefix) <= 0 && compareKeys(end, to) <= 0;
}

function channelsIn(keys: readonly string[], prefix: string): ChannelKey[] {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareKeys(keys[middle]!, prefix) < 0) low = middle + 1;
    else high = middle;
  }
  const channels: ChannelKey[] = [];
  for (; low < keys.length && keys[low]!.startsWith(prefix); low++) {
    channels.push(keys[low]!.slice(prefix.length) as ChannelKey);
  }
  return channels;
}
