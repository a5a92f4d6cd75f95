import type { PeerMessage } from '../../../src/cluster/link/message.ts';
import { crc32 } from '../../../src/core/checksum.ts';
import type { SeededRandom } from '../world/random.ts';
import type { VirtualProcess } from '../world/virtual-process.ts';
import type { World } from '../world/world.ts';

/** What a direction between two machines is like at the moment; changed by faults. */
export interface Path {
  readonly from: string;
  readonly to: string;
  /** The delay it has without a fault. */
  readonly healthyMs: number;
  delayMs: number;
  jitterMs: number;
  /** Nothing arrives; what was sent waits until it heals or the link breaks. */
  blocked: boolean;
  /** Probability that one frame of operations vanishes though the stream stays open. */
  frameLoss: number;
  frameDuplicate: number;
  frameReorder: number;
  /** The next frame of operations vanishes, and this is told. */
  loseNext: (() => void) | undefined;
}

export interface WireEnd {
  readonly process: VirtualProcess;
  onMessage(message: PeerMessage): void;
  onClose(reason: string): void;
}

export interface WireOptions {
  readonly world: World;
  readonly random: SeededRandom;
  readonly path: Path;
  readonly encode: (message: PeerMessage) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => PeerMessage;
  /** `send` says false while more than this is under way. */
  readonly highWaterBytes: number;
  readonly receiver: WireEnd;
  /** Told of each message before anything happens to it. */
  readonly onSent: (type: PeerMessage['type'], lost: boolean) => void;
  readonly onDrain: () => void;
}

interface Packet {
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly type: PeerMessage['type'];
  /** The stream ends here, with this reason. */
  readonly end?: string;
}

/**
 * One direction of a link: an ordered stream of encoded messages, so that sender and receiver never share
 * an object. Messages keep their order except where a fault reorders two frames of operations.
 */
export class Wire {
  readonly #options: WireOptions;
  readonly #stalled: Packet[] = [];
  #lastArrivalMs = 0;
  #sent = 0;
  #bufferedBytes = 0;
  #full = false;
  #closed = false;

  constructor(options: WireOptions) {
    this.#options = options;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  send(message: PeerMessage): boolean {
    if (this.#closed) return true;
    const { random, path, highWaterBytes, world } = this.#options;
    const packet = {
      number: ++this.#sent,
      bytes: this.#options.encode(message),
      type: message.type,
    };
    world.trace.addNumber(crc32(packet.bytes));
    const lost = message.type === 'operations' && this.#isLost();
    this.#options.onSent(message.type, lost);
    if (lost) {
      world.note(`${path.from}>${path.to} loses a frame`);
      return !this.#full;
    }
    this.#bufferedBytes += packet.bytes.length;
    this.#push(packet);
    if (message.type === 'operations' && random.chance(path.frameDuplicate)) {
      world.note(`${path.from}>${path.to} duplicates a frame`);
      this.#bufferedBytes += packet.bytes.length;
      this.#push(packet);
    }
    if (this.#bufferedBytes >= highWaterBytes) this.#full = true;
    return !this.#full;
  }

  #isLost(): boolean {
    const { random, path } = this.#options;
    const { loseNext } = path;
    path.loseNext = undefined;
    loseNext?.();
    return random.chance(path.frameLoss) || loseNext !== undefined;
  }

  /** The stream ends after what was sent before. */
  end(reason: string): void {
    if (this.#closed) return;
    const bytes = new Uint8Array(0);
    this.#push({ number: ++this.#sent, bytes, type: 'refused', end: reason });
  }

  /** Nothing arrives from here on, whatever is under way. */
  cut(): void {
    this.#closed = true;
    this.#stalled.length = 0;
  }

  /** What waited during a partition goes on its way. */
  release(): void {
    const waiting = this.#stalled.splice(0).sort((a, b) => a.number - b.number);
    for (const packet of waiting) this.#push(packet);
  }

  #push(packet: Packet): void {
    const { world, random, path, receiver } = this.#options;
    if (path.blocked) {
      this.#stalled.push(packet);
      return;
    }
    let arrivalMs = world.nowMs + path.delayMs + random.exponential(path.jitterMs);
    const late = packet.type === 'operations' && random.chance(path.frameReorder);
    if (late) {
      world.note(`${path.from}>${path.to} reorders a frame`);
      arrivalMs += 2 * path.delayMs + 5;
    } else {
      arrivalMs = Math.max(arrivalMs, this.#lastArrivalMs);
      this.#lastArrivalMs = arrivalMs;
    }
    const label = `${path.from}>${path.to} ${packet.end === undefined ? packet.type : 'end'}`;
    world.after(arrivalMs - world.nowMs, label, () => {
      receiver.process.enter(() => this.#arrive(packet));
    });
  }

  #arrive(packet: Packet): void {
    if (this.#closed) return;
    // A partition that began while it was under way holds it back as well.
    if (this.#options.path.blocked) {
      this.#stalled.push(packet);
      return;
    }
    if (packet.end !== undefined) {
      this.#closed = true;
      this.#options.receiver.onClose(packet.end);
      return;
    }
    this.#bufferedBytes -= packet.bytes.length;
    if (this.#full && this.#bufferedBytes < this.#options.highWaterBytes / 2) {
      this.#full = false;
      this.#options.onDrain();
    }
    this.#options.receiver.onMessage(this.#options.decode(packet.bytes));
  }
}
