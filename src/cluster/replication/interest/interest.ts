import { hash32 } from '../../../core/placement.ts';
import type { Interest, InterestItem } from '../../link/message.ts';
import type { LinkEnd } from '../link-end.ts';
import { SummedItems } from './summed-items.ts';

/**
 * This member's own interest: what it has live sessions for. Kept from the first peer on that is told of
 * it: until then nobody needs it, and with many sessions it takes more room than a lone node has to spare.
 */
export class OwnInterest {
  readonly #source: (() => Iterable<InterestItem>) | undefined;
  #items: Set<InterestItem> | undefined;
  #digest = 0;

  /** `source`: all of it, as it is now; asked once. Absent: kept from the start. */
  constructor(source?: () => Iterable<InterestItem>) {
    this.#source = source;
    if (!source) this.#items = new Set();
  }

  get items(): ReadonlySet<InterestItem> {
    if (!this.#items) {
      this.#items = new Set();
      this.change([...(this.#source?.() ?? [])], []);
    }
    return this.#items;
  }

  /** Sum of the items' hashes: the order in which they came does not matter. */
  get digest(): number {
    return this.#digest;
  }

  /** Returns what really changed. */
  change(add: readonly InterestItem[], remove: readonly InterestItem[]): InterestChange {
    const items = this.#items;
    if (!items) return NO_CHANGE;
    const added = add.filter((item) => !items.has(item) && items.add(item));
    const removed = remove.filter((item) => items.delete(item));
    for (const item of added) this.#digest = (this.#digest + hash32(item)) >>> 0;
    for (const item of removed) this.#digest = (this.#digest - hash32(item)) >>> 0;
    return { added, removed };
  }
}

export interface InterestChange {
  readonly added: readonly InterestItem[];
  readonly removed: readonly InterestItem[];
}

const NO_CHANGE: InterestChange = { added: [], removed: [] };

/**
 * Tells one peer of the own interest, on the link that this member opened. Versions count the messages
 * of the link. Invariant: what waits is at most one entry an item.
 */
export class InterestFeed {
  readonly #own: OwnInterest;
  readonly #chunkItems: number;
  readonly #waiting = new Map<InterestItem, 'add' | 'remove'>();
  #whole = true;
  #version = 0;

  constructor(own: OwnInterest, chunkItems: number) {
    this.#own = own;
    this.#chunkItems = chunkItems;
    this.tellAll();
  }

  /** 0 while something waits: then nothing is claimed. */
  get version(): number {
    return this.#waiting.size > 0 || this.#whole ? 0 : this.#version;
  }

  tellAll(): void {
    this.#whole = true;
    this.#waiting.clear();
    for (const item of this.#own.items) this.#waiting.set(item, 'add');
  }

  change({ added, removed }: InterestChange): void {
    for (const item of added) this.#waiting.set(item, 'add');
    for (const item of removed) this.#waiting.set(item, 'remove');
  }

  flush(end: LinkEnd): void {
    while ((this.#waiting.size > 0 || this.#whole) && !end.blocked && !end.closed) {
      const add: InterestItem[] = [];
      const remove: InterestItem[] = [];
      for (const [item, what] of this.#waiting) {
        if (add.length + remove.length >= this.#chunkItems) break;
        (what === 'add' ? add : remove).push(item);
        this.#waiting.delete(item);
      }
      this.#version += 1;
      end.send({ type: 'interest', version: this.#version, whole: this.#whole, add, remove });
      this.#whole = false;
    }
  }
}

export type InterestListener = (change: InterestChange) => void;

/** Of the copy at each heartbeat: with one a second all of it within two. */
const AUDITED_SHARE = 0.5;

/**
 * What one peer has announced. Filtering by it is allowed only while it is verified: the digest of a
 * heartbeat fitted and no message was missed since. What an older announcement had is kept until the
 * new one is verified, so that a reconnect makes nobody look offline for a moment.
 */
export class PeerInterest {
  readonly #itemsMax: number;
  readonly #listener: InterestListener;
  readonly #items = new SummedItems();
  #stale = new Set<InterestItem>();
  #version = 0;
  #verified = false;
  #overflow = false;
  /** Something was missed: everything has to be told again. */
  #wanted = false;

  constructor(itemsMax: number, listener: InterestListener) {
    this.#itemsMax = itemsMax;
    this.#listener = listener;
  }

  get wanted(): boolean {
    return this.#wanted;
  }

  get verified(): boolean {
    return this.#verified;
  }

  items(): ReadonlySet<InterestItem> {
    return new Set([...this.#items, ...this.#stale]);
  }

  /** True in every doubt. */
  mayWant(item: InterestItem): boolean {
    return !this.#verified || this.#items.has(item);
  }

  /** A new link: its versions start again, nothing is verified, nothing is forgotten yet. */
  restart(): void {
    this.#verified = false;
    this.#wanted = false;
    this.#version = 0;
  }

  receive(message: Interest): void {
    if (message.version <= this.#version) return;
    if (!message.whole && (message.version !== this.#version + 1 || this.#wanted)) {
      return this.#doubt();
    }
    this.#version = message.version;
    if (message.whole) {
      this.#wanted = false;
      this.#verified = false;
      this.#overflow = false;
      this.#stale = new Set([...this.#stale, ...this.#items]);
      this.#items.clear();
    }
    this.#take(message);
  }

  /** A heartbeat's digest; `version` 0 claims nothing. */
  check(version: number, digest: number): void {
    if (version === 0 || this.#overflow) return;
    const { digest: own } = this.#items;
    if (version !== this.#version || digest !== own || this.#wanted) return this.#doubt();
    this.#verified = true;
    if (this.#stale.size === 0) return;
    const removed = [...this.#stale];
    this.#stale = new Set();
    this.#listener({ added: [], removed });
  }

  /**
   * Adds up a part of the copy again, as it really is. False where it was altered behind its back: then
   * everything is sent to the peer until it has told all of its interest once more.
   */
  audit(): boolean {
    if (this.#items.audit(AUDITED_SHARE)) return true;
    this.#doubt();
    return false;
  }

  /** Fault injection alone calls it. */
  damage(item: InterestItem, change: 'add' | 'drop'): void {
    this.#items.damage(item, change);
  }

  /** The run that announced it is gone. */
  drop(): void {
    const removed = [...this.items()];
    this.restart();
    this.#items.clear();
    this.#stale = new Set();
    this.#overflow = false;
    if (removed.length > 0) this.#listener({ added: [], removed });
  }

  #doubt(): void {
    this.#verified = false;
    this.#wanted = true;
  }

  #take({ add, remove }: Interest): void {
    const added: InterestItem[] = [];
    for (const item of add) {
      if (this.#items.has(item)) continue;
      if (this.#items.size >= this.#itemsMax) {
        this.#overflow = true;
        this.#verified = false;
        break;
      }
      this.#items.add(item);
      if (!this.#stale.delete(item)) added.push(item);
    }
    const removed = remove.filter((item) => {
      const stale = this.#stale.delete(item);
      const had = this.#items.delete(item);
      return had || stale;
    });
    if (added.length > 0 || removed.length > 0) this.#listener({ added, removed });
  }
}
