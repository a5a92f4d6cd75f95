import { VersionVector, type VectorRow } from '../../core/version-vector.ts';
import type { VectorCursor } from '../../storage/replica-port.ts';
import type { Hello, PeerMessage } from '../link/message.ts';
import type { Link } from '../link/port.ts';

/**
 * This member's end of one link, and what the other end has said on it. The peer's vector is kept per
 * link: messages of two links overtake each other, and a hash fits only the rows sent before it.
 */
export class LinkEnd {
  readonly link: Link;
  /** Opened by this member, or accepted from the peer. */
  readonly side: 'opened' | 'accepted';
  /** Hellos are exchanged and found good. */
  ready = false;
  closed = false;
  /** The transport asked to wait for its drain. */
  blocked = false;
  heardMs: number;
  hello: Hello | undefined;
  /** Where this link's reports of the own vector are. */
  readonly cursor: VectorCursor = { at: 0 };
  reportedHash = 0;
  /** When the whole vector was last asked for here. */
  wholeAskedMs = Number.NEGATIVE_INFINITY;
  /** Highest transient number sent (opened) or received (accepted). */
  transients = 0;
  #vector = new VersionVector(Number.POSITIVE_INFINITY);
  #rows = 0;
  readonly #rowsMax: number;

  constructor(link: Link, side: 'opened' | 'accepted', { nowMs, rowsMax }: LinkEndOptions) {
    this.link = link;
    this.side = side;
    this.heardMs = nowMs;
    this.#rowsMax = rowsMax;
  }

  /** False: wait for the drain before sending what can wait (this message was taken). */
  send(message: PeerMessage): boolean {
    if (this.closed) return false;
    if (!this.link.send(message)) this.blocked = true;
    return !this.blocked;
  }

  /** The peer's vector on disk, as this link has told it. */
  get vector(): VersionVector {
    return this.#vector;
  }

  /** False where the peer's vector is larger than anything believable. */
  takeRows(rows: readonly VectorRow[]): boolean {
    for (const row of rows) {
      const known = this.#vector.highest(row.actor, row.shard) > 0;
      if (!known && ++this.#rows > this.#rowsMax) return false;
      this.#vector.addAll([row]);
    }
    return true;
  }
}

export interface LinkEndOptions {
  readonly nowMs: number;
  readonly rowsMax: number;
}
