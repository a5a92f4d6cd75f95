import type { PeerMessage } from '../../../src/cluster/link/message.ts';
import type { Link, LinkHandler, PeerTransport } from '../../../src/cluster/link/port.ts';
import type { MemberId } from '../../../src/core/ids.ts';
import type { VirtualProcess } from '../../../scripts/simulate/world/virtual-process.ts';

export type Verdict = 'pass' | 'drop' | 'twice';
export interface Sent {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly message: PeerMessage;
}

interface Side {
  readonly member: MemberId;
  readonly process: VirtualProcess;
  handler: LinkHandler | undefined;
  open: boolean;
  /** Messages to this side that are not delivered yet. */
  readonly inbox: PeerMessage[];
  /** The other end was told to wait. */
  full: boolean;
}

const DELAY_MS = 1;

/** Ordered links in memory; a member whose process is paused takes nothing off them. */
export class TestNetwork {
  /** Every message that was sent, the newest last. */
  readonly sent: Sent[] = [];
  /** Messages a link holds before `send` answers false. */
  bufferMessages = 1_000;
  judge: (sent: Sent) => Verdict = () => 'pass';
  highestInbox = 0;
  sentWhileFull = 0;
  readonly #accepts = new Map<
    MemberId,
    { accept: (link: Link) => LinkHandler; at: Side['process'] }
  >();
  readonly #links = new Set<readonly [Side, Side]>();
  readonly #cut = new Set<string>();

  transport(member: MemberId, process: VirtualProcess): PeerTransport {
    return {
      listen: (accept) => {
        this.#accepts.set(member, { accept, at: process });
        return Promise.resolve();
      },
      connect: (peer, handler) => this.#connect({ member, process, handler }, peer.id),
      close: () => Promise.resolve(),
    };
  }

  count(type: PeerMessage['type']): number {
    return this.sent.filter(({ message }) => message.type === type).length;
  }

  /** Breaks every link between the two, and lets none be made until `heal`. */
  partition(a: MemberId, b: MemberId): void {
    this.#cut.add(`${a}>${b}`).add(`${b}>${a}`);
    for (const link of this.#links) {
      if (link.some((side) => side.member === a) && link.some((side) => side.member === b)) {
        this.#break(link, 'partition');
      }
    }
  }

  heal(): void {
    this.#cut.clear();
  }

  /** kill -9: the other ends see a reset. */
  kill(member: MemberId, process: VirtualProcess): void {
    process.kill();
    if (this.#accepts.get(member)?.at === process) this.#accepts.delete(member);
    for (const link of this.#links) {
      if (link.some((side) => side.process === process)) this.#break(link, 'connection reset');
    }
  }

  #connect(
    from: { member: MemberId; process: VirtualProcess; handler: LinkHandler },
    to: MemberId,
  ): Promise<Link> {
    return new Promise((resolve, reject) => {
      from.process.timers.after(DELAY_MS, () => {
        const there = this.#accepts.get(to);
        if (!there || this.#cut.has(`${from.member}>${to}`))
          return reject(new Error('unreachable'));
        const near: Side = { ...from, open: true, inbox: [], full: false };
        const far: Side = {
          ...{ member: to, process: there.at, handler: undefined },
          ...{ open: true, inbox: [], full: false },
        };
        const pair = [near, far] as const;
        this.#links.add(pair);
        there.at.enter(() => {
          far.handler = there.accept(this.#link(far, near, pair));
        });
        resolve(this.#link(near, far, pair));
      });
    });
  }

  #link(near: Side, far: Side, pair: readonly [Side, Side]): Link {
    return {
      peer: far.member,
      send: (message) => {
        if (!near.open) return false;
        const sent = { from: near.member, to: far.member, message: structuredClone(message) };
        this.sent.push(sent);
        if (far.full) this.sentWhileFull += 1;
        const verdict = this.judge(sent);
        if (verdict === 'drop') return true;
        for (let copy = verdict === 'twice' ? 2 : 1; copy > 0; copy--) {
          far.inbox.push(sent.message);
          far.process.timers.after(DELAY_MS, () => this.#deliver(near, far));
        }
        this.highestInbox = Math.max(this.highestInbox, far.inbox.length);
        if (far.inbox.length >= this.bufferMessages) far.full = true;
        return !far.full;
      },
      bufferedBytes: () => far.inbox.length * 1_000,
      close: (reason) => {
        near.process.timers.after(DELAY_MS, () => this.#break(pair, reason));
      },
    };
  }

  #deliver(near: Side, far: Side): void {
    const message = far.inbox.shift();
    if (message && far.open) far.handler?.onMessage(message);
    if (!far.full || far.inbox.length > this.bufferMessages / 2) return;
    far.full = false;
    near.process.enter(() => {
      if (near.open) near.handler?.onDrain();
    });
  }

  #break(pair: readonly [Side, Side], reason: string): void {
    this.#links.delete(pair);
    for (const side of pair) {
      if (!side.open) continue;
      side.process.enter(() => {
        side.open = false;
        side.handler?.onClose(reason);
      });
    }
  }
}
