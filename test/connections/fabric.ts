import type { MemberId } from '../../src/core/ids.ts';
import type { Operation } from '../../src/core/operation.ts';
import {
  PeerCallError,
  type PeerCallHandler,
  type PeerCalls,
} from '../../src/cluster/calls/port.ts';
import { createVirtualRuntime, type VirtualRuntime } from '../support/virtual-runtime.ts';
import { startService, type ServiceNode } from './support.ts';

const HOP_MS = 2;
/** Writes come later than answers, so that votes have to decide. */
const WRITE_HOP_MS = 60;
const RESEND_MS = 50;

/** Members whose links the test cuts, each way apart: questions, answers and writes go over them. */
export class Fabric {
  readonly runtime: VirtualRuntime;
  readonly names: readonly MemberId[];
  readonly nodes: ServiceNode[] = [];
  readonly #cut = new Set<string>();
  readonly #dead = new Set<MemberId>();
  readonly #handlers = new Map<string, PeerCallHandler>();

  private constructor(count: number, seed: number) {
    this.runtime = createVirtualRuntime(seed);
    this.names = Array.from({ length: count }, (_, i) => `n${i + 1}` as MemberId);
  }

  static async start(count: number, seed = 1): Promise<Fabric> {
    const fabric = new Fabric(count, seed);
    for (const self of fabric.names) {
      const node = await startService({
        self,
        runtime: fabric.runtime,
        calls: fabric.#calls(self),
        facts: {
          roster: () => fabric.names,
          heard: () => fabric.names.filter((other) => fabric.#both(self, other)),
          isLive: (member) => fabric.#both(self, member),
        },
      });
      node.replica.addListener({
        onSubmitted: (operation) => fabric.#replicate(self, operation),
        onStaged: () => {},
        onDurable: () => {},
      });
      fabric.nodes.push(node);
    }
    return fabric;
  }

  /** Ends the process: nothing of it is open any more, and nobody hears it. */
  kill(index: number): void {
    this.#dead.add(this.names[index]!);
    this.nodes[index]!.service.stop();
  }

  cut(from: number, to: number): void {
    this.#cut.add(`${this.names[from]}>${this.names[to]}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  isolate(index: number): void {
    for (const other of this.names.keys()) {
      this.cut(index, other);
      this.cut(other, index);
    }
  }

  /** Members that have an attempt of the connection open, by index. */
  acting(id: string): readonly number[] {
    return [...this.nodes.keys()].filter((index) =>
      [...this.nodes[index]!.driver.holding].some((name) => name.startsWith(`${id} `)),
    );
  }

  #passes(from: MemberId, to: MemberId): boolean {
    return !this.#cut.has(`${from}>${to}`) && !this.#dead.has(from) && !this.#dead.has(to);
  }

  #both(one: MemberId, other: MemberId): boolean {
    return one !== other && this.#passes(one, other) && this.#passes(other, one);
  }

  /** Every write comes to everybody, once the way is open. */
  #replicate(from: MemberId, operation: Operation): void {
    for (const [index, to] of this.names.entries()) {
      if (to === from) continue;
      const deliver = (): void => {
        if (this.#dead.has(from)) return;
        if (this.#passes(from, to)) this.nodes[index]?.replica.receive(operation);
        else this.runtime.timers.after(RESEND_MS, deliver);
      };
      this.runtime.timers.after(WRITE_HOP_MS, deliver);
    }
  }

  #calls(self: MemberId): Pick<PeerCalls, 'call' | 'answer'> {
    return {
      answer: (method, handler) => void this.#handlers.set(`${self} ${method}`, handler),
      call: (to, { method, body, timeoutMs }) =>
        new Promise((resolve, reject) => {
          const { timers } = this.runtime;
          timers.after(timeoutMs, () => reject(new PeerCallError('timeout', `${to}: no answer`)));
          timers.after(HOP_MS, () => {
            if (!this.#passes(self, to)) return;
            void Promise.resolve(this.#handlers.get(`${to} ${method}`)!(self, body)).then(
              (answer) => timers.after(HOP_MS, () => this.#passes(to, self) && resolve(answer)),
            );
          });
        }),
    };
  }
}
