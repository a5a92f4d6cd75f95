import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What happens to the bytes of one connection. Held bytes wait: TCP itself loses none. */
export interface Way {
  readonly toTarget: 'open' | 'held';
  readonly fromTarget: 'open' | 'held';
  /** Either way. */
  readonly delayMs: number;
}

export const OPEN_WAY: Way = { toTarget: 'open', fromTarget: 'open', delayMs: 0 };

interface Pair {
  readonly source: number | undefined;
  readonly there: Pipe;
  readonly back: Pipe;
  readonly destroy: () => void;
}

/** A TCP proxy on a port of loopback before one target, which delays and holds by what it is told. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #rule: (source: number | undefined) => Way = () => OPEN_WAY;

  /** `sourceOf`: whose connection it is, by the port it comes from. */
  constructor(
    targetPort: number,
    sourceOf: (port: number) => number | undefined = () => undefined,
  ) {
    this.#server = createServer({ noDelay: true }, (from) => {
      this.#take(from, { targetPort, source: sourceOf(from.remotePort ?? 0) });
    });
  }

  /** Resolves with the port. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  /** For connections that are open and for those to come. */
  rule(of: (source: number | undefined) => Way): void {
    this.#rule = of;
    for (const pair of this.#pairs) this.#apply(pair);
  }

  /** Connections through which something may be held end as with a firewall that forgot them. */
  reset(): void {
    for (const { there, back, destroy } of this.#pairs) if (there.held || back.held) destroy();
  }

  async close(): Promise<void> {
    for (const { destroy } of this.#pairs) destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take(from: Socket, { targetPort, source }: { targetPort: number; source: number | undefined }) {
    const to = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    const destroy = (): void => {
      this.#pairs.delete(pair);
      pair.there.stop();
      pair.back.stop();
      from.destroy();
      to.destroy();
    };
    const pair: Pair = { source, there: new Pipe(from, to), back: new Pipe(to, from), destroy };
    for (const socket of [from, to]) socket.on('error', destroy).on('close', destroy);
    this.#pairs.add(pair);
    this.#apply(pair);
  }

  #apply({ source, there, back }: Pair): void {
    const { toTarget, fromTarget, delayMs } = this.#rule(source);
    there.set(toTarget, delayMs);
    back.set(fromTarget, delayMs);
  }
}

/** One direction of one connection. What cannot be passed on stays in the sender's socket. */
class Pipe {
  held = false;
  readonly #from: Socket;
  readonly #to: Socket;
  #delayMs = 0;
  /** In the order of their coming, which is that of `dueMs`; no chunk: the end. */
  #queue: { readonly dueMs: number; readonly chunk: Buffer | undefined }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    from.on('data', (chunk: Buffer) => this.#push(chunk));
    from.on('end', () => this.#push(undefined));
    to.on('drain', () => void (this.held || from.resume()));
  }

  set(state: 'open' | 'held', delayMs: number): void {
    this.held = state === 'held';
    this.#delayMs = delayMs;
    if (this.held) this.#from.pause();
    else this.#from.resume();
    this.#flush();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
  }

  #push(chunk: Buffer | undefined): void {
    const lastMs = this.#queue.at(-1)?.dueMs ?? 0;
    this.#queue.push({ dueMs: Math.max(performance.now() + this.#delayMs, lastMs), chunk });
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    while (!this.held && this.#queue.length > 0) {
      const { dueMs, chunk } = this.#queue[0]!;
      const leftMs = dueMs - performance.now();
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.#flush(), leftMs);
        return;
      }
      this.#queue.shift();
      if (!chunk) this.#to.end();
      else if (!this.#to.write(chunk)) this.#from.pause();
    }
  }
}
