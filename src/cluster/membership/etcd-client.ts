import type { ChannelOptions } from '@grpc/grpc-js';
import type { IOptions } from 'etcd3';
import { ConnectionPool } from 'etcd3/lib/connection-pool.js';
import { KVClient, LeaseClient, WatchClient, type IRequestOp } from 'etcd3/lib/rpc.js';
import type { Runtime } from '../../runtime/port.ts';
import type { EtcdEntry } from './etcd-roster.ts';

export interface EtcdClientOptions {
  /** host:port or https://host:port of each etcd server. */
  readonly endpoints: readonly string[];
  /** Every key is under it. */
  readonly prefix: string;
  /** One call to one server; a server that hangs is given up after it. */
  readonly callDeadlineMs: number;
  readonly credentials?: IOptions['credentials'] | undefined;
  readonly auth?: { readonly username: string; readonly password: string } | undefined;
  readonly runtime: Runtime;
}

export interface Commit {
  /** The value that key `epoch` must still have; undefined: it must not exist. */
  readonly epoch: string | undefined;
  readonly puts: ReadonlyMap<string, string>;
  readonly deletes: readonly string[];
}

export interface WatchHandler {
  /** The watch is set, or something under the prefix changed. */
  onEvent(): void;
  /** Once; the watch is over. */
  onEnd(reason: string): void;
}

/** What membership asks of etcd. Every call rejects where no server answers in time. */
export interface EtcdCalls {
  /** Everything under the prefix at one revision. */
  list(): Promise<readonly EtcdEntry[]>;
  /** False where the epoch is not the expected one any more; nothing changed then. */
  commit(commit: Commit): Promise<boolean>;
  /** Resolves with the lease's id. */
  grant(ttlMs: number): Promise<string>;
  /** Writes a key that goes with the lease. */
  putLeased(name: string, value: string, lease: string): Promise<void>;
  /** False where etcd does not know the lease any more. */
  keepAlive(lease: string): Promise<boolean>;
  revoke(lease: string): Promise<void>;
  /** Watches the whole prefix from now on, on the server in use. Returns what ends the watch. */
  watch(handler: WatchHandler): () => void;
  close(): void;
}

const CHANNEL: ChannelOptions = {
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 2_000,
  // etcd closes a connection that is probed more often than each 5 s.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
};
/** Far more than 32 members with their slots and leases. */
const ENTRIES_MAX = 1_000;

/**
 * The few calls that membership needs. The library's retries and breakers are off, because they run
 * under a deadline and stretch it; each call has the deadline of gRPC and one of its own, because
 * the library can wait for ever on a server that hangs. A call that fails goes on to the next
 * server.
 */
export class EtcdClient implements EtcdCalls {
  readonly #options: EtcdClientOptions;
  readonly #pools: readonly ConnectionPool[];
  #at = 0;

  constructor(options: EtcdClientOptions) {
    this.#options = options;
    this.#pools = options.endpoints.map((host) => new ConnectionPool(this.#poolOptions(host)));
    if (this.#pools.length === 0) throw new Error('no etcd endpoint is given');
  }

  async list(): Promise<readonly EtcdEntry[]> {
    const { prefix } = this.#options;
    const answer = await this.#call('list', (pool) =>
      new KVClient(pool).range({
        key: Buffer.from(prefix),
        range_end: endOf(prefix),
        limit: ENTRIES_MAX,
      }),
    );
    if (answer.more) throw new Error(`more than ${ENTRIES_MAX} keys under ${prefix} in etcd`);
    return answer.kvs.map(({ key, value, lease }) => ({
      key: key.toString('utf8').slice(prefix.length),
      value: value.toString('utf8'),
      lease,
    }));
  }

  async commit({ epoch, puts, deletes }: Commit): Promise<boolean> {
    const key = this.#key('epoch');
    const success: IRequestOp[] = [
      ...deletes.map((name) => ({ request_delete_range: { key: this.#key(name) } })),
      ...[...puts].map(([name, value]) => ({
        request_put: { key: this.#key(name), value: Buffer.from(value) },
      })),
    ];
    const compare =
      epoch === undefined
        ? { key, result: 'Equal' as const, target: 'Version' as const, version: '0' }
        : { key, result: 'Equal' as const, target: 'Value' as const, value: Buffer.from(epoch) };
    const answer = await this.#call('commit', (pool) =>
      new KVClient(pool).txn({ compare: [compare], success, failure: [] }),
    );
    return answer.succeeded;
  }

  async grant(ttlMs: number): Promise<string> {
    const answer = await this.#call('grant', (pool) =>
      new LeaseClient(pool).leaseGrant({ TTL: Math.ceil(ttlMs / 1000) }),
    );
    return answer.ID;
  }

  async putLeased(name: string, value: string, lease: string): Promise<void> {
    const request = { key: this.#key(name), value: Buffer.from(value), lease };
    await this.#call('put', (pool) => new KVClient(pool).put(request));
  }

  keepAlive(lease: string): Promise<boolean> {
    return this.#call('keep alive', async (pool) => {
      const stream = await new LeaseClient(pool).leaseKeepAlive({ deadline: this.#deadline() });
      try {
        return await new Promise<boolean>((resolve, reject) => {
          stream.on('data', ({ TTL }) => resolve(Number(TTL) > 0));
          stream.on('error', reject);
          stream.on('end', () => reject(new Error('etcd ended the stream of a lease')));
          stream.write({ ID: lease });
        });
      } finally {
        stream.end();
      }
    });
  }

  async revoke(lease: string): Promise<void> {
    await this.#call('revoke', (pool) => new LeaseClient(pool).leaseRevoke({ ID: lease }));
  }

  watch(handler: WatchHandler): () => void {
    const { prefix } = this.#options;
    let ended = false;
    const end = (reason: string): void => {
      if (ended) return;
      ended = true;
      handler.onEnd(reason);
    };
    const request = { key: Buffer.from(prefix), range_end: endOf(prefix) };
    const opening = new WatchClient(this.#pools[this.#at]!).watch().then((stream) => {
      stream.on('error', (error) => end(error.message));
      stream.on('end', () => end('etcd ended the watch'));
      stream.on('data', (answer) => {
        if (answer.canceled) end(`etcd cancelled the watch: ${answer.cancel_reason}`);
        else if (!ended) handler.onEvent();
      });
      if (!ended) stream.write({ create_request: request });
      return stream;
    });
    opening.catch((error: unknown) => end(String(error)));
    return () => {
      ended = true;
      void opening.then(
        (stream) => stream.cancel(),
        () => {},
      );
    };
  }

  close(): void {
    for (const pool of this.#pools) pool.close();
  }

  async #call<Answer>(
    what: string,
    run: (pool: ConnectionPool) => Promise<Answer>,
  ): Promise<Answer> {
    let cause: unknown;
    for (let tried = 0; tried < this.#pools.length; tried++) {
      const at = this.#at;
      try {
        return await this.#withDeadline(run(this.#pools[at]!));
      } catch (error) {
        cause = error;
        if (this.#at === at) this.#at = (at + 1) % this.#pools.length;
      }
    }
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`etcd ${what}: ${found}`, { cause });
  }

  #withDeadline<Answer>(answer: Promise<Answer>): Promise<Answer> {
    const { callDeadlineMs, runtime } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = runtime.timers.after(callDeadlineMs, () =>
        reject(new Error(`no answer within ${callDeadlineMs} ms`)),
      );
      answer.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  #deadline(): number {
    return this.#options.runtime.clock.wallMs() + this.#options.callDeadlineMs;
  }

  #key(name: string): Buffer {
    return Buffer.from(this.#options.prefix + name);
  }

  #poolOptions(host: string): IOptions {
    const { auth, credentials } = this.#options;
    type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>;
    // A policy that runs the call once, as it is; the library's own no-op is in a package of its
    // own.
    const once = { execute: async (run: () => unknown) => run() } as unknown as Policy;
    return {
      hosts: host,
      grpcOptions: CHANNEL,
      faultHandling: { global: once, host: () => once },
      defaultCallOptions: ({ isStream }) => (isStream ? {} : { deadline: this.#deadline() }),
      ...(credentials ? { credentials } : {}),
      ...(auth ? { auth: { ...auth } } : {}),
    };
  }
}

/**
 * The first key after every key with this prefix; prefixes end in '/', and '0' is the next
 * character.
 */
function endOf(prefix: string): Buffer {
  return Buffer.from(`${prefix.slice(0, -1)}0`);
}
