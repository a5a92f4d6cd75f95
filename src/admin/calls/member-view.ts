import type { MembershipStatus } from '../../cluster/membership/port.ts';
import type { PeerState } from '../../cluster/replication/port.ts';
import type { StoreStatus } from '../../storage/port.ts';
import type { MembersReply, PeerState as PeerStateView, Status } from '../messages.ts';
import type { ClusterInfo } from '../port.ts';

/** The Members reply and the parts of it that events carry too. */
export function toMembersReply(cluster: ClusterInfo): MembersReply {
  const roster = cluster.roster();
  const live = cluster.live();
  const peers = new Map(cluster.peers().map((peer) => [peer.member, peer]));
  return {
    member: cluster.nodeId,
    cluster: cluster.cluster,
    version: cluster.version,
    actor: cluster.actor,
    uptimeMs: Math.round(cluster.uptimeMs()),
    rosterEpoch: roster.epoch,
    members: roster.members.map((member) => {
      const peer = peers.get(member.id);
      return {
        id: member.id,
        slot: member.slot,
        peerAddress: member.peerAddress,
        clientAddress: member.clientAddress,
        httpAddress: member.httpAddress,
        adminAddress: member.adminAddress,
        live: live.has(member.id),
        peer: peer ? toPeerState(peer) : null,
      };
    }),
    vectorDigest: (cluster.vectorHash() >>> 0).toString(16).padStart(8, '0'),
    membership: toMembershipStatus(cluster.membershipStatus()),
    store: toStoreStatus(cluster.storeStatus()),
    mayWrite: cluster.mayWrite(),
  };
}

export function toPeerState(peer: PeerState): PeerStateView {
  return {
    member: peer.member,
    live: peer.live,
    lagging: peer.lagging,
    behind: peer.behind,
    unacknowledgedBytes: peer.unacknowledgedBytes,
    lastHeardMs: Math.round(peer.lastHeardMs ?? 0),
    lastError: peer.lastError ?? '',
  };
}

export function toMembershipStatus(status: MembershipStatus): Status {
  if (status.state === 'ok') return { state: 'ok', sinceMs: 0, reason: '' };
  return { state: status.state, sinceMs: Math.round(status.sinceMs), reason: status.reason };
}

export function toStoreStatus(status: StoreStatus): Status {
  if (status.state === 'ok') return { state: 'ok', sinceMs: 0, reason: '' };
  return {
    state: status.state,
    sinceMs: Math.round(status.sinceMs),
    reason: status.error.message,
  };
}
