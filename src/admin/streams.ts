import {
  status,
  type Metadata,
  type ServerDuplexStream,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import { AdminError } from './errors.ts';

export type OutStream<Request, Reply> =
  ServerWritableStream<Request, Reply> | ServerDuplexStream<Request, Reply>;

/** The streams that are open: bounded, and ended together when the node stops. */
export class OpenStreams {
  readonly #open = new Map<AbortController, Metadata>();
  readonly #max: number;
  #stopping = false;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * Runs `serve` with a signal that aborts when the client goes (no reason of ours) or the node stops (an
   * AdminError as its reason).
   */
  async run<Request, Reply>(
    call: OutStream<Request, Reply>,
    serve: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    if (this.#stopping) throw stopping();
    if (this.#open.size >= this.#max) {
      throw new AdminError(
        status.RESOURCE_EXHAUSTED,
        `${this.#max} streams are open on this node, which is its limit`,
      );
    }
    const controller = new AbortController();
    this.#open.set(controller, call.metadata);
    const onGone = (): void => controller.abort(new ClientGone());
    call.on('cancelled', onGone);
    try {
      if (call.cancelled) return;
      await serve(controller.signal);
      if (controller.signal.reason instanceof AdminError) throw controller.signal.reason;
    } finally {
      call.off('cancelled', onGone);
      this.#open.delete(controller);
    }
  }

  stop(): void {
    this.#stopping = true;
    for (const controller of this.#open.keys()) controller.abort(stopping());
  }

  /** Ends those that `stays` says no of, by what their calls began with; how many. */
  endUnless(stays: (metadata: Metadata) => boolean): number {
    const ended = [...this.#open].filter(([, metadata]) => !stays(metadata));
    for (const [controller] of ended) {
      const why = 'the token is not valid on this node any more';
      controller.abort(new AdminError(status.UNAUTHENTICATED, why));
    }
    return ended.length;
  }
}

/** Nobody is there to be told. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
  readonly code = 'CLIENT_GONE';
}

function stopping(): AdminError {
  return new AdminError(status.UNAVAILABLE, 'the node is stopping');
}

/** Writes one message and, where the transport is full, waits until it is not, or until the abort. */
export async function writeWhenReady<Request, Reply>(
  call: OutStream<Request, Reply>,
  message: Reply,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted || call.write(message)) return;
  await drained(call, signal);
}

export function drained<Request, Reply>(
  call: OutStream<Request, Reply>,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.on('drain', done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
