import type { ChannelKey, Uid } from '../../core/ids.ts';
import { channelOf, pairOf } from '../../core/row-key.ts';
import type { Change } from '../../storage/replica-port.ts';

interface Stamped<Value> {
  readonly value: Value;
  readonly stamp: number;
}

/** What is kept of one user. */
interface KeptUser<Value> {
  readonly channels: Map<ChannelKey, Stamped<Value>>;
  names: readonly ChannelKey[] | undefined;
  /** When they were read. Monotonic ms. */
  namesAtMs: number;
  /** The last change of a subscription. */
  changed: number;
}

/** A reverse row that was lost and put back is no change of a subscription. Milliseconds. */
const NAMES_AGE_MS = 5_000;

/**
 * What was worked out for a user and a channel, until a row it rests on changes. Bounded: what was worked
 * out for the user who asked longest ago goes first.
 */
export class Kept<Value> {
  readonly #users = new Map<Uid, KeptUser<Value>>();
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
    const user = this.#users.get(uid);
    if (!user) return () => undefined;
    this.#users.delete(uid);
    this.#users.set(uid, user);
    return (channel) => {
      const kept = user.channels.get(channel);
      const changed = this.#changed.get(channel) ?? this.#forgottenStamp;
      return kept && kept.stamp >= changed ? kept.value : undefined;
    };
  }

  /** The channels of a user, as `read` says where they are not known any more. */
  async names(
    uid: Uid,
    nowMs: number,
    read: () => Promise<readonly ChannelKey[]>,
  ): Promise<readonly ChannelKey[]> {
    const user = this.#userOf(uid);
    if (user.names && nowMs - user.namesAtMs < NAMES_AGE_MS) return user.names;
    const { stamp } = this;
    const names = await read();
    if (user.changed > stamp || this.#users.get(uid) !== user) return names;
    this.#count += names.length - (user.names?.length ?? 0);
    user.names = names;
    user.namesAtMs = nowMs;
    if (this.#count > this.#max) this.#makeRoom();
    return names;
  }

  set(of: { readonly uid: Uid; readonly channel: ChannelKey }, value: Value, stamp: number): void {
    const { channels } = this.#userOf(of.uid);
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
    if (kind === 's') this.#onSubscription(pairOf(key).uid);
    const channel = channelOf(key);
    this.#changed.delete(channel);
    this.#changed.set(channel, this.#stamp);
    if (this.#changed.size <= this.#max) return;
    const oldest = first(this.#changed)!;
    this.#forgottenStamp = this.#changed.get(oldest)!;
    this.#changed.delete(oldest);
  }

  /** Reads that have begun are not kept either. */
  forgetNames(uid: Uid): void {
    this.#stamp += 1;
    this.#onSubscription(uid);
  }

  #userOf(uid: Uid): KeptUser<Value> {
    let user = this.#users.get(uid);
    if (!user) {
      user = { channels: new Map(), names: undefined, namesAtMs: 0, changed: 0 };
      this.#users.set(uid, user);
      this.#count += 1;
    }
    return user;
  }

  #onSubscription(uid: Uid): void {
    const user = this.#users.get(uid);
    if (!user) return;
    this.#count -= user.names?.length ?? 0;
    user.names = undefined;
    user.changed = this.#stamp;
  }

  #makeRoom(): void {
    for (const [uid, { channels, names }] of this.#users) {
      if (this.#count <= this.#max) return;
      this.#users.delete(uid);
      this.#count -= 1 + channels.size + (names?.length ?? 0);
    }
  }
}

function first<Key>(map: ReadonlyMap<Key, unknown>): Key | undefined {
  return map.keys().next().value;
}
