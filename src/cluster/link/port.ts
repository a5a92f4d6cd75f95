import type { MemberId } from '../../core/ids.ts';
import type { Member } from '../../core/member.ts';
import type { PeerMessage } from './message.ts';

/**
 * One ordered, reliable-while-open stream of messages between two members. A link that breaks loses
 * what was in flight; the layers above find and repair that.
 */
export interface Link {
  readonly peer: MemberId;
  /** False: the transport's buffer is full, wait for `onDrain` before sending more (nothing is lost). */
  send(message: PeerMessage): boolean;
  /** Encoded bytes accepted by `send` and not yet handed to the operating system. */
  bufferedBytes(): number;
  close(reason: string): void;
}

export interface LinkHandler {
  onMessage(message: PeerMessage): void;
  onDrain(): void;
  /** Once, after which no other callback runs. */
  onClose(reason: string): void;
}

/**
 * Opens links to peers and accepts theirs; one link per ordered pair, so two per pair of members.
 * Both ends have proved the cluster secret before either sees a link; a stranger never gets that far.
 */
export interface PeerTransport {
  /** Starts to accept. `accept` returns the handler of the new link. */
  listen(accept: (link: Link) => LinkHandler): Promise<void>;
  /** Rejects with a `LinkError` (code and cause) where the peer is unreachable or refuses. */
  connect(peer: Member, handler: LinkHandler, signal: AbortSignal): Promise<Link>;
  close(): Promise<void>;
}
