import { status } from '@grpc/grpc-js';
import type { DecommissionHow } from '../../cluster/membership/decommission.ts';
import { MembershipError } from '../../cluster/membership/membership-error.ts';
import { parseMemberId, type MemberId } from '../../core/ids.ts';
import { AdminError, take } from '../errors.ts';
import type { DecommissionReply, DecommissionRequest } from '../messages.ts';
import type { ClusterInfo } from '../port.ts';

export interface DecommissionOptions {
  readonly cluster: Pick<ClusterInfo, 'roster'>;
  readonly remove: ((member: MemberId, how: DecommissionHow) => Promise<void>) | undefined;
}

export async function decommission(
  { cluster, remove }: DecommissionOptions,
  request: DecommissionRequest,
): Promise<DecommissionReply> {
  if (!remove) throw new AdminError(status.UNIMPLEMENTED, 'this node cannot change the roster');
  const member = take(parseMemberId(request.member), 'member');
  try {
    await remove(member, { force: request.force });
  } catch (error) {
    if (!(error instanceof MembershipError)) throw error;
    throw new AdminError(statusOf(error.code), error.message, { field: 'member', cause: error });
  }
  const ids = cluster.roster().members.map(({ id }) => id);
  return { member, remaining: ids.filter((id) => id !== member) };
}

function statusOf(code: MembershipError['code']): status {
  if (code === 'UNKNOWN_MEMBER') return status.NOT_FOUND;
  const away = code === 'FROZEN' || code === 'UNAVAILABLE' || code === 'CONTENTION';
  return away ? status.UNAVAILABLE : status.FAILED_PRECONDITION;
}
