import type { MemberId } from '../../core/ids.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { EtcdCalls } from './etcd-client.ts';

export interface EtcdLeaseOptions {
  readonly leaseTtlMs: number;
  readonly runtime: Runtime;
  readonly log: Log;
}

/** This member's lease and the key live/<id> under it. A lost lease is replaced by a new one. */
export class EtcdLease {
  readonly #client: EtcdCalls;
  readonly #options: EtcdLeaseOptions;
  readonly #startedMs: number;
  #id: string | undefined;
  #ended = false;
  #keptMs = 0;

  constructor(client: EtcdCalls, options: EtcdLeaseOptions) {
    this.#client = client;
    this.#options = options;
    this.#startedMs = options.runtime.clock.wallMs();
  }

  get id(): string | undefined {
    return this.#id;
  }

  /** Renews the lease where a quarter of its time has passed; takes a new one where it was lost. */
  async keep(member: MemberId): Promise<void> {
    const { leaseTtlMs, runtime, log } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    if (this.#id !== undefined) {
      if (nowMs - this.#keptMs < leaseTtlMs / 4) return;
      if (await this.#client.keepAlive(this.#id)) {
        this.#keptMs = nowMs;
        return;
      }
      log.warn('the lease was lost, taking a new one', { member });
      this.#id = undefined;
    }
    const granted = await this.#client.grant(leaseTtlMs);
    this.#id = granted;
    this.#keptMs = nowMs;
    if (this.#ended) return this.end();
    await this.announce(member);
  }

  /** Writes live/<id> again, where somebody or something took it away. */
  async announce(member: MemberId): Promise<void> {
    if (this.#id === undefined || this.#ended) return;
    const value = JSON.stringify({ id: member, startedMs: this.#startedMs });
    try {
      await this.#client.putLeased(`live/${member}`, value, this.#id);
    } catch (error) {
      // The lease may be gone; a new one is taken in the next round.
      this.#id = undefined;
      throw error;
    }
  }

  /** Revokes the lease; errors are of no use to anybody, the lease ends by itself. */
  async end(): Promise<void> {
    this.#ended = true;
    const id = this.#id;
    this.#id = undefined;
    if (id !== undefined) await this.#client.revoke(id).catch(() => {});
  }
}
