import { messageBody } from '../../api/message-body.ts';
import type { PeerCalls } from '../../cluster/calls/port.ts';
import type { Replicator } from '../../cluster/replication/replicator.ts';
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
  readonly replicator: Pick<Replicator, 'peers'>;
  readonly repairs: Repairs;
}

/** Of one request of msg.offline. */
const UIDS_MAX = 1_000;

/** Undefined where no receiver is configured, or nothing can be sent. */
export async function createWebhooks(
  { webhooks: options }: Pick<CoreOptions, 'webhooks'>,
  { store, runtime, log, webhookSender: sender }: CorePorts,
  { self, replica, services, calls, repairs, replicator }: WebhookParts,
): Promise<WebhookService | undefined> {
  if (!options || options.endpoints.length === 0 || !sender) return undefined;
  const webhooks = await WebhookService.open(options, {
    ...{ self, store, replica, calls, sender, runtime, log: log.child({ room: 'webhooks' }) },
    sessions: services.sessions,
    messageText: messageBody,
    isMajority: () => hearsMajority(replicator),
    confirmedMs: () => replicator.peers().map(({ interestConfirmedMs }) => interestConfirmedMs),
    offlineOf: (channel, without) => offlineOf(services, channel, without),
  });
  replica.addListener(webhooks.listener());
  repairs.add(webhooks);
  return webhooks;
}

/** More than half of the members, this one included; of two, one is enough. */
function hearsMajority(replicator: Pick<Replicator, 'peers'>): boolean {
  const peers = replicator.peers();
  const heard = peers.filter(({ live }) => live).length + 1;
  return heard * 2 > peers.length + 1 || peers.length < 2;
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
