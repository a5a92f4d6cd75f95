import type { ClusterEvent, EventFeed } from './port.ts';

/**
 * Where the rooms' changes meet the watchers. Ask `watched` before building an event that is costly or
 * frequent (one for each subscription): nobody watches most of the time.
 */
export class EventHub implements EventFeed {
  readonly #listeners = new Set<(event: ClusterEvent) => void>();

  get watched(): boolean {
    return this.#listeners.size > 0;
  }

  subscribe(listener: (event: ClusterEvent) => void): () => void {
    // A closure of its own, so that subscribing one function twice gives two subscriptions.
    const own = (event: ClusterEvent): void => listener(event);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  emit(event: ClusterEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
