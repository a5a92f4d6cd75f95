import { hash32 } from '../../core/placement.ts';
import type { VectorRow } from '../../core/version-vector.ts';
import { readCut } from '../sweep/evidence.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { Hello } from '../link/message.ts';

/** What a Hello is compared with. */
export interface OwnData {
  readonly lineage: string;
  readonly holdsData: boolean;
  /** Below it evidence may have been collected here; a lagging store may still have what that kept out. */
  readonly cut?: readonly VectorRow[] | undefined;
}

export function ownDataOf(replica: Replica): OwnData {
  return { lineage: replica.lineage(), holdsData: replica.holdsData(), cut: readCut(replica) };
}

/** The lineage of a cluster whose stores are all new: the same on each member that reached all others. */
export function lineageOfNew(storeIds: readonly string[]): string {
  const names = storeIds.toSorted().join(' ');
  return hex32(hash32(names)) + hex32(hash32(`${names} lineage`));
}

/**
 * Takes over the lineage of a peer that was found good, where this store has none, or no data that
 * would speak for its own. Between two stores without data the smaller one stays.
 */
export function adoptLineage(replica: Replica, hello: Hello): void {
  const own = ownDataOf(replica);
  if (hello.lineage === '' || hello.lineage === own.lineage) return;
  const peerHoldsData = hello.vector.length > 0;
  const adopts =
    own.lineage === '' || (!own.holdsData && (peerHoldsData || hello.lineage < own.lineage));
  if (adopts) replica.setLineage(hello.lineage);
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}
