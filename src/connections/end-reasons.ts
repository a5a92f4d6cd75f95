import type { MemberId } from '../core/ids.ts';
import type { ConnectionRow } from '../core/kinds/connection.ts';

/** A Close frame has room for 123 bytes; what follows the cause must not be cut off. */
const CAUSE_LENGTH_MAX = 70;

export const ENDS = {
  nodeStops: 'the node stops; comes back with it or from another node',
  drained: 'its node is being drained; another node goes on at once',
  noMajority: 'its node hears no majority; comes back from one that does',
} as const;

/**
 * S3-2: what a peer is told when an attempt is ended because its row is this now: why, whether to expect it
 * again, and when. ASCII, at most 120 characters.
 */
export function endReason(
  row: ConnectionRow,
  { self, nowMs }: { readonly self: MemberId; readonly nowMs: number },
): string {
  const cause = row.reason.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, CAUSE_LENGTH_MAX);
  if (row.removed) return 'removed; does not come back';
  if (row.owner !== self) return `${row.owner.slice(0, CAUSE_LENGTH_MAX)} goes on with it at once`;
  if (row.desired === 'disabled') return `${cause}; does not come back until an operator starts it`;
  if (row.journal.at(-1)?.event === 'retry') return `${cause}; comes back at once`;
  const { state, deadlineMs } = row;
  if (state !== 'TIMEOUT' && state !== 'DISCONNECTED') return 'the next attempt begins at once';
  const seconds = Math.max(1, Math.ceil((deadlineMs - nowMs) / 1000));
  return deadlineMs === 0 ? `${cause}; comes back later` : `${cause}; comes back in ${seconds} s`;
}
