import type { ChannelKey, Uid } from '../core/ids.ts';
import { shardOf, SHARDS } from '../core/placement.ts';
import { rangeEnd, SEPARATOR, shardPrefix, subscriptionKey } from '../core/row-key.ts';
import type { Subscriptions } from '../messaging/port.ts';
import type { Store } from '../storage/port.ts';
import type { Subscription, SubscriptionListing } from './port.ts';

export interface StoreListingOptions {
  readonly store: Pick<Store, 'scan'>;
  readonly subscriptions: Pick<Subscriptions, 'isSubscribed'>;
}

/** Every subscription in (shard, channel, uid) order, as the store's keys are. About 3 µs each. */
export class StoreListing implements SubscriptionListing {
  readonly #options: StoreListingOptions;

  constructor(options: StoreListingOptions) {
    this.#options = options;
  }

  async page(after: Subscription | undefined, limit: number): Promise<readonly Subscription[]> {
    const { store, subscriptions } = this.#options;
    const page: Subscription[] = [];
    const first = after ? shardOf(after.channel) : 0;
    for (let shard = first; shard < SHARDS; shard++) {
      const prefix = shardPrefix('s', shard);
      const resumes = after !== undefined && shard === first;
      // The least key after the one given: ids hold no control characters.
      const gte = resumes ? `${subscriptionKey(after.channel, after.uid)}\u0000` : prefix;
      for await (const chunk of store.scan({ gte, lt: rangeEnd(prefix) })) {
        for (const [key] of chunk) {
          const [channel, uid] = key.slice(prefix.length).split(SEPARATOR) as [ChannelKey, Uid];
          if (!subscriptions.isSubscribed(channel, uid)) continue;
          page.push({ channel, uid });
          if (page.length >= limit) return page;
        }
      }
    }
    return page;
  }
}
