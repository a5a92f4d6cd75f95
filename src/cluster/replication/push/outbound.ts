import type { Operation } from '../../../core/operation.ts';
import { Fifo } from './fifo.ts';
import type { LinkEnd } from '../link-end.ts';
import type { ReplicationCounters, ReplicationLimits } from '../options.ts';

interface Frame {
  readonly number: number;
  readonly operations: readonly Operation[];
  readonly bytes: number;
  readonly sentMs: number;
}

export interface OutboundEvents {
  onDisk(operations: readonly Operation[]): void;
  onRouted(operations: readonly Operation[]): void;
  onLagging(reason: string): void;
}

/**
 * Own operations on their way to one peer: a queue, then frames inside the window of what is not
 * acknowledged. A peer that cannot keep up is marked lagging: the queue is dropped, the peer pulls.
 * Invariant: #acked < number of every frame in #frames < #next, without holes.
 */
export class Outbound {
  readonly #limits: ReplicationLimits;
  readonly #counters: ReplicationCounters;
  readonly #events: OutboundEvents;
  readonly #queue = new Fifo<{ readonly operation: Operation; readonly bytes: number }>();
  readonly #frames = new Fifo<Frame>();
  #queuedBytes = 0;
  #unackedBytes = 0;
  #next = 1;
  #disk = 0;
  #routed = 0;
  #progressMs = 0;
  #lagging = false;

  constructor(limits: ReplicationLimits, counters: ReplicationCounters, events: OutboundEvents) {
    this.#limits = limits;
    this.#counters = counters;
    this.#events = events;
  }

  get lagging(): boolean {
    return this.#lagging;
  }

  /** Bytes held for this peer: waiting and not acknowledged. */
  get bytes(): number {
    return this.#queuedBytes + this.#unackedBytes;
  }

  get waiting(): boolean {
    return this.#queue.length > 0;
  }

  push(operation: Operation, bytes: number, nowMs: number): void {
    if (this.#lagging) return;
    if (this.#queue.length === 0) this.#progressMs = nowMs;
    this.#queue.push({ operation, bytes });
    this.#queuedBytes += bytes;
    if (this.#queuedBytes > this.#limits.queueBytesMax) this.#lag('queue is full');
  }

  /** Sends what the window and the link take now. */
  flush(end: LinkEnd, nowMs: number): void {
    const { frameBytesMax, unacknowledgedBytesMax } = this.#limits;
    while (this.#queue.length > 0 && !end.blocked && !end.closed) {
      if (this.#unackedBytes > 0 && this.#unackedBytes + frameBytesMax > unacknowledgedBytesMax) {
        return;
      }
      const operations: Operation[] = [];
      let bytes = 0;
      for (let item = this.#queue.peek(); item; item = this.#queue.peek()) {
        if (operations.length > 0 && bytes + item.bytes > frameBytesMax) break;
        operations.push(item.operation);
        bytes += item.bytes;
        this.#queue.shift();
      }
      const frame = { number: this.#next++, operations, bytes, sentMs: nowMs };
      this.#queuedBytes -= bytes;
      this.#unackedBytes += bytes;
      this.#frames.push(frame);
      this.#progressMs = nowMs;
      this.#counters.operationsPushed += operations.length;
      end.send({ type: 'operations', frame: frame.number, operations });
    }
  }

  /** The peer's two marks. False where they name a frame that was never sent. */
  applied(disk: number, routed: number, nowMs: number): boolean {
    if (disk >= this.#next || routed >= this.#next) return false;
    const firstNumber = this.#frames.peek()?.number ?? this.#next;
    for (let number = Math.max(this.#disk + 1, firstNumber); number <= disk; number++) {
      const frame = this.#frames.at(number - firstNumber);
      if (frame) this.#events.onDisk(frame.operations);
    }
    for (let number = Math.max(this.#routed + 1, firstNumber); number <= routed; number++) {
      const frame = this.#frames.at(number - firstNumber);
      if (frame) this.#events.onRouted(frame.operations);
    }
    this.#disk = Math.max(this.#disk, disk);
    this.#routed = Math.max(this.#routed, routed);
    this.#release(Math.min(this.#disk, this.#routed), nowMs);
    return true;
  }

  /**
   * A frame that was lost on an open link holds up the peer's marks. Once the peer's vector covers old
   * frames (it pulled them), an empty frame with their number tells it to let its marks go past them.
   */
  settle(end: LinkEnd, covered: (operation: Operation) => boolean, nowMs: number): void {
    let settled = 0;
    for (let frame = this.#frames.peek(); frame; frame = this.#frames.peek()) {
      if (nowMs - frame.sentMs < this.#limits.heartbeatMs / 2) break;
      if (!frame.operations.every(covered)) break;
      settled = frame.number;
      this.#release(settled, nowMs);
    }
    if (settled > 0) end.send({ type: 'operations', frame: settled, operations: [] });
  }

  /** Called now and then: a queue that does not move makes the peer lagging. */
  check(nowMs: number): void {
    if (this.#queue.length === 0) return;
    if (nowMs - this.#progressMs > this.#limits.lagAfterMs) this.#lag('peer does not keep up');
  }

  /** New operations are pushed again; the peer pulls what was dropped. */
  resume(): void {
    if (this.#unackedBytes * 2 < this.#limits.unacknowledgedBytesMax) this.#lagging = false;
  }

  /** A new link numbers its frames from 1. */
  reset(): void {
    this.#queue.clear();
    this.#frames.clear();
    this.#queuedBytes = 0;
    this.#unackedBytes = 0;
    this.#next = 1;
    this.#disk = 0;
    this.#routed = 0;
    this.#lagging = false;
  }

  #release(upTo: number, nowMs: number): void {
    for (let frame = this.#frames.peek(); frame && frame.number <= upTo;) {
      this.#unackedBytes -= frame.bytes;
      this.#progressMs = nowMs;
      this.#frames.shift();
      frame = this.#frames.peek();
    }
  }

  #lag(reason: string): void {
    this.#lagging = true;
    this.#queue.clear();
    this.#queuedBytes = 0;
    this.#counters.lagged += 1;
    this.#events.onLagging(reason);
  }
}

/** About what an operation takes on the wire. */
export function bytesOf(operation: Operation): number {
  let bytes = 40;
  for (const { key, value, context } of operation.writes) {
    bytes += 24 + key.length + value.length + context.length * 24;
  }
  return bytes;
}
