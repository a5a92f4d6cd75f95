import { messageBody } from '../../api/message-body.ts';
import type { PeerCalls } from '../../cluster/calls/port.ts';
import type { ChannelKey, MemberId, Uid } from '../../core/ids.ts';
import type { Services } from '../../messaging/port.ts';
import type { ReplicatedStore } from '../../storage/replica.ts';
import { WebhookService } from '../../webhooks/service.ts';
import type { CoreOptions, CorePorts } from '../core.ts';
import type { Repairs } from '../upkeep.ts';

interface WebhookParts {
  readonly self: MemberId;
  readonly replica: ReplicatedStore;
  readonly services: Pick<Services, 'subscriptions' | 'sessions'>;
  readonly calls: PeerCalls;
  readonly repairs: Repairs;
}

/** Of one request of msg.offline. */
const UIDS_MAX = 1_000;

/** Undefined where no receiver is configured, or nothing can be sent. */
export async function createWebhooks(
  { webhooks: options }: Pick<CoreOptions, 'webhooks'>,
  { store, runtime, log, webhookSender: sender }: CorePorts,
  { self, replica, services, calls, repairs }: WebhookParts,
): Promise<WebhookService | undefined> {
  if (!options || options.endpoints.length === 0 || !sender) return undefined;
  const webhooks = await WebhookService.open(options, {
    ...{ self, store, replica, calls, sender, runtime, log: log.child({ room: 'webhooks' }) },
    sessions: services.sessions,
    messageText: messageBody,
    offlineOf: (channel, without) => offlineOf(services, channel, without),
  });
  replica.addListener(webhooks.listener());
  repairs.add(webhooks);
  return webhooks;
}

async function* offlineOf(
  { subscriptions, sessions }: WebhookParts['services'],
  channel: ChannelKey,
  without: Uid,
): AsyncGenerator<readonly Uid[]> {
  let after: Uid | undefined;
  for (;;) {
    const uids = await subscriptions.subscribersOf(channel, after, UIDS_MAX);
    yield uids.filter((uid) => uid !== without && sessions.online(uid).length === 0);
    after = uids.at(-1);
    if (after === undefined || uids.length < UIDS_MAX) return;
  }
}
