import type { MemberId } from '../../core/ids.ts';
import type { Member, Roster } from '../../core/member.ts';

export type MembershipStatus =
  | { readonly state: 'ok' }
  /** The roster is frozen: nothing joins, leaves or is collected; everything else goes on. */
  | { readonly state: 'frozen'; readonly sinceMs: number; readonly reason: string };

export interface MembershipListener {
  /** One without this member says that it was taken off: nothing it does counts until it joins anew. */
  onRoster(roster: Roster): void;
  /** A member that left `live` is suspect, nothing more: its data and streams stay. */
  onLive(live: ReadonlySet<MemberId>): void;
}

/**
 * Who belongs to the cluster. `start` resolves once a first roster with this member in it is known (from
 * etcd, from the configuration, or from `cached` while etcd is down) or rejects with a `MembershipError`.
 */
export interface Membership {
  /** True where the roster is the configuration's and never changes while a node runs. */
  readonly fixed?: boolean | undefined;
  start(self: Member, cached: Roster | undefined, listener: MembershipListener): Promise<Roster>;
  roster(): Roster;
  live(): ReadonlySet<MemberId>;
  status(): MembershipStatus;
  /** Marks a member removed and raises the epoch. */
  remove(member: MemberId): Promise<void>;
  /** Leaves the live set (not the roster). */
  stop(): Promise<void>;
}
