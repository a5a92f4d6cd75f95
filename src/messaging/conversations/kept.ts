import type { ChannelKey, Uid } from '../../core/ids.ts';
import { channelOf } from '../../core/row-key.ts';
import type { Change } from '../../storage/replica-port.ts';

interface Stamped<Value> {
  readonly value: Value;
  readonly stamp: number;
}

/**
 * What was worked out for a user and a channel, until a row it rests on changes. Bounded: what was worked
 * out for the user who asked longest ago goes first.
 */
export class Kept<Value> {
  readonly #users = new Map<Uid, Map<ChannelKey, Stamped<Value>>>();
  #count = 0;
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

  /** All of a user, who asks now: for as many channels as may be, one look each. */
  of(uid: Uid): (channel: ChannelKey) => Value | undefined {
    const channels = this.#users.get(uid);
    if (!channels) return () => undefined;
    this.#users.delete(uid);
    this.#users.set(uid, channels);
    return (channel) => {
      const kept = channels.get(channel);
      const changed = this.#changed.get(channel) ?? this.#forgottenStamp;
      return kept && kept.stamp >= changed ? kept.value : undefined;
    };
  }

  set(of: { readonly uid: Uid; readonly channel: ChannelKey }, value: Value, stamp: number): void {
    let channels = this.#users.get(of.uid);
    if (!channels) {
      channels = new Map();
      this.#users.set(of.uid, channels);
    }
    const before = channels.size;
    channels.set(of.channel, { value, stamp });
    this.#count += channels.size - before;
    if (this.#count > this.#max) this.#makeRoom();
  }

  onChange({ key }: Pick<Change, 'key'>): void {
    const kind = key[0];
    if (kind !== 'm' && kind !== 'r' && kind !== 's') return;
    this.#stamp += 1;
    if (this.#count === 0) {
      // Nobody asks, and whoever is about to has read before this.
      this.#forgottenStamp = this.#stamp;
      this.#changed.clear();
      return;
    }
    const channel = channelOf(key);
    this.#changed.delete(channel);
    this.#changed.set(channel, this.#stamp);
    if (this.#changed.size <= this.#max) return;
    const oldest = first(this.#changed)!;
    this.#forgottenStamp = this.#changed.get(oldest)!;
    this.#changed.delete(oldest);
  }

  #makeRoom(): void {
    const oldest = first(this.#users)!;
    const channels = this.#users.get(oldest)!;
    if (this.#users.size > 1) {
      this.#users.delete(oldest);
      this.#count -= channels.size;
      return;
    }
    channels.delete(first(channels)!);
    this.#count -= 1;
  }
}

function first<Key>(map: ReadonlyMap<Key, unknown>): Key | undefined {
  return map.keys().next().value;
}
