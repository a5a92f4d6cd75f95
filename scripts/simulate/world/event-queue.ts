/** What happens at a virtual time. `task` is taken away when the event is cancelled or has run. */
export interface Event {
  readonly atMs: number;
  /** Order of scheduling: what is due at the same time runs in this order. */
  readonly number: number;
  readonly label: string;
  task: (() => void) | undefined;
}

/** A binary heap by (time, number), so that the order never depends on anything else. */
export class EventQueue {
  readonly #heap: Event[] = [];
  #cancelled = 0;

  get size(): number {
    return this.#heap.length - this.#cancelled;
  }

  push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  /** Time of the next event that was not cancelled. */
  nextMs(): number | undefined {
    while (this.#heap.length > 0 && !this.#heap[0]!.task) {
      this.#removeFirst();
      this.#cancelled--;
    }
    return this.#heap[0]?.atMs;
  }

  pop(): Event | undefined {
    return this.nextMs() === undefined ? undefined : this.#removeFirst();
  }

  cancel(event: Event): void {
    if (!event.task) return;
    event.task = undefined;
    this.#cancelled++;
  }

  #removeFirst(): Event {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number);
}
