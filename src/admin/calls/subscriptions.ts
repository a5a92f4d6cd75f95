import { formatDot } from '../../core/dot.ts';
import type { Services } from '../../messaging/port.ts';
import { refusalError } from '../errors.ts';
import type {
  DigestReply,
  SubscribeRequest,
  SubscriptionReply,
  UnsubscribeRequest,
} from '../messages.ts';
import type { AdminLimits, ClusterInfo } from '../port.ts';
import { readChannel, readReceipts, readUids, readWaitFor, waitForName } from '../request.ts';

export interface SubscriptionCallOptions {
  readonly services: Pick<Services, 'subscriptions'>;
  readonly cluster: Pick<ClusterInfo, 'nodeId'>;
  readonly limits: AdminLimits;
}

/** Subscribe and Unsubscribe of one channel; throws AdminError. */
export async function changeSubscriptions(
  options: SubscriptionCallOptions,
  action: 'subscribe' | 'unsubscribe',
  request: SubscribeRequest | UnsubscribeRequest,
): Promise<SubscriptionReply> {
  const { services, limits } = options;
  const receipts =
    'receipts' in request ? readReceipts(request.receipts, limits.uidsMax) : undefined;
  const outcome = await services.subscriptions[action]({
    channel: readChannel(request),
    uids: readUids(request.uids, limits.uidsMax),
    cause: 'admin',
    waitFor: readWaitFor(request.waitFor),
    receipts,
  });
  if (!outcome.ok) throw refusalError(outcome);
  return {
    receipts: outcome.value.receipts.map(formatDot),
    reached: waitForName(outcome.value.reached),
    missing: outcome.value.missing,
  };
}

export async function digest({ services, cluster }: SubscriptionCallOptions): Promise<DigestReply> {
  const { subscriptions, digest } = await services.subscriptions.digest();
  return { member: cluster.nodeId, subscriptions, digest };
}
