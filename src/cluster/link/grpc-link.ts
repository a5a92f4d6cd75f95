import type { MemberId } from '../../core/ids.ts';
import type { Log } from '../../observability/log.ts';
import type { Timers } from '../../runtime/port.ts';
import { decodePeerMessage, encodePeerMessage } from './codec.ts';
import { ContextTrail } from './context-trail.ts';
import { CLOSING, ENVELOPE_BYTES, type Envelope } from './envelope.ts';
import type { PeerMessage } from './message.ts';
import type { Link, LinkHandler } from './port.ts';

/** What the streams of both ends have in common. */
export interface EnvelopeStream {
  write(envelope: Envelope, written: () => void): boolean;
  end(): unknown;
}

export interface GrpcLinkOptions {
  readonly peer: MemberId;
  readonly stream: EnvelopeStream;
  /** Takes the connection away, whatever is still in it. */
  readonly abort: () => void;
  readonly messageBytesMax: number;
  /** Above it `send` answers false; at half of it the link has drained. */
  readonly bufferBytesMax: number;
  /** Who goes on sending until this is reached loses the link. */
  readonly overrunBytesMax: number;
  /** How long what was sent before a close may take to leave. */
  readonly lingerMs: number;
  readonly timers: Timers;
  readonly log: Log;
  readonly onMalformed: () => void;
  readonly onEnded: (link: GrpcLink) => void;
}

const REASON_LENGTH_MAX = 512;

/**
 * An authenticated stream. gRPC's own `write() === false` counts messages and not bytes (16 of
 * them), so the link counts bytes itself, by the callback which gRPC gives when a message was
 * handed on; that is late as long as the peer's flow-control window is closed.
 *
 * Invariant: after `onClose` the handler hears nothing more, and `onClose` comes once.
 */
export class GrpcLink implements Link {
  readonly peer: MemberId;
  readonly #options: GrpcLinkOptions;
  #handler: LinkHandler | undefined;
  readonly #sent = new ContextTrail();
  readonly #heard = new ContextTrail();
  #bufferedBytes = 0;
  #full = false;
  #closed = false;

  constructor(options: GrpcLinkOptions) {
    this.peer = options.peer;
    this.#options = options;
  }

  attach(handler: LinkHandler): void {
    this.#handler = handler;
  }

  send(message: PeerMessage): boolean {
    if (this.#closed) return false;
    const { messageBytesMax, bufferBytesMax, overrunBytesMax } = this.#options;
    const envelope = encodePeerMessage(message, this.#sent);
    const bytes = envelope.payload.length + ENVELOPE_BYTES;
    if (bytes > messageBytesMax) {
      this.#fail(`a message of ${bytes} bytes (${message.type}) is over ${messageBytesMax}`);
      return false;
    }
    if (this.#bufferedBytes + bytes > overrunBytesMax) {
      this.#fail(
        `${this.#bufferedBytes} bytes wait already, over ${overrunBytesMax} with this one`,
      );
      return false;
    }
    this.#bufferedBytes += bytes;
    this.#options.stream.write(envelope, () => this.#written(bytes));
    this.#full ||= this.#bufferedBytes >= bufferBytesMax;
    return !this.#full;
  }

  bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** The handler's `onClose` follows; the peer is told the reason if it still listens. */
  close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    const { stream, timers, lingerMs, abort } = this.#options;
    const payload = Buffer.from(reason.slice(0, REASON_LENGTH_MAX));
    stream.write({ kind: CLOSING, payload }, () => {});
    stream.end();
    // One turn later: after a stall what was written has not even reached the socket.
    timers.after(lingerMs, () => timers.soon(abort));
    // Not at once: the caller may be a handler that is in the middle of something.
    queueMicrotask(() => this.#tellClosed(reason));
  }

  /** An envelope came in. */
  receive({ kind, payload }: Envelope): void {
    if (this.#closed) return;
    if (kind === CLOSING) {
      const reason = Buffer.from(payload).toString('utf8').slice(0, REASON_LENGTH_MAX);
      return this.ended(`closed by the peer: ${reason}`);
    }
    const decoded = decodePeerMessage(kind, payload, this.#heard);
    if (decoded.ok) return this.#handler?.onMessage(decoded.value);
    this.#options.onMalformed();
    this.#fail(`malformed message: ${decoded.error}`);
  }

  /** The stream is over, for whatever reason. */
  ended(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.abort();
    this.#tellClosed(reason);
  }

  #fail(reason: string): void {
    this.#options.log.error('closing a link', { peer: this.peer, reason });
    this.close(reason);
  }

  #tellClosed(reason: string): void {
    this.#bufferedBytes = 0;
    this.#options.onEnded(this);
    this.#handler?.onClose(reason);
    this.#handler = undefined;
  }

  #written(bytes: number): void {
    if (this.#closed) return;
    this.#bufferedBytes -= bytes;
    if (!this.#full || this.#bufferedBytes > this.#options.bufferBytesMax / 2) return;
    this.#full = false;
    this.#handler?.onDrain();
  }
}
