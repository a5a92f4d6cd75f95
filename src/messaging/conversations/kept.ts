import type { ChannelKey, Uid } from '../../core/ids.ts';
import { SEPARATOR } from '../../core/row-key.ts';
import type { Change } from '../../storage/replica-port.ts';

/**
 * What was worked out for a user and a channel, until a row it rests on changes. Bounded: the longest
 * unused goes first.
 */
export class Kept<Value> {
  readonly #values = new Map<string, { readonly value: Value; readonly stamp: number }>();
  /** When a message of the channel changed last, in changes seen. */
  readonly #changed = new Map<ChannelKey, number>();
  readonly #max: number;
  #stamp = 0;
  /** Of the channels that `#changed` no longer names, the last change. */
  #forgottenStamp = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Take it before anything is read, and hand it to `set`: a change meanwhile makes the value stale. */
  get stamp(): number {
    return this.#stamp;
  }

  get(uid: Uid, channel: ChannelKey): Value | undefined {
    const name = nameOf(uid, channel);
    const kept = this.#values.get(name);
    if (!kept) return undefined;
    this.#values.delete(name);
    if (kept.stamp < (this.#changed.get(channel) ?? this.#forgottenStamp)) return undefined;
    this.#values.set(name, kept);
    return kept.value;
  }

  set(of: { readonly uid: Uid; readonly channel: ChannelKey }, value: Value, stamp: number): void {
    const name = nameOf(of.uid, of.channel);
    this.#values.delete(name);
    this.#values.set(name, { value, stamp });
    if (this.#values.size > this.#max) this.#values.delete(first(this.#values)!);
  }

  onChange({ key }: Pick<Change, 'key'>): void {
    const kind = key[0];
    if (kind !== 'm' && kind !== 'r' && kind !== 's') return;
    this.#stamp += 1;
    if (this.#values.size === 0) {
      // Nobody asks, and whoever is about to has read before this.
      this.#forgottenStamp = this.#stamp;
      this.#changed.clear();
      return;
    }
    const channel = key.slice(3, key.indexOf(SEPARATOR, 3)) as ChannelKey;
    this.#changed.delete(channel);
    this.#changed.set(channel, this.#stamp);
    if (this.#changed.size <= this.#max) return;
    const oldest = first(this.#changed)!;
    this.#forgottenStamp = this.#changed.get(oldest)!;
    this.#changed.delete(oldest);
  }
}

function nameOf(uid: Uid, channel: ChannelKey): string {
  return `${uid}\u0001${channel}`;
}

function first<Key>(map: ReadonlyMap<Key, unknown>): Key | undefined {
  return map.keys().next().value;
}
