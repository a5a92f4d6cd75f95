import { channelTypeOf, PERSON, type ChannelKey, type Uid } from '../../core/ids.ts';
import { personsOf } from '../../core/placement.ts';
import type { SubscriptionRequest, Subscriptions } from '../port.ts';
import type { Conversations } from './port.ts';

/**
 * Whoever leaves a direct channel hides its conversation first. That stays known when the evidence of the
 * removal has been collected, so nothing that finds the messages later takes them for a loss. A crash
 * between the two leaves a subscriber with a hidden conversation, which the next message shows again.
 */
export function hideOnLeaving(
  subscriptions: Subscriptions,
  conversations: Pick<Conversations, 'hide'>,
): Subscriptions {
  const hide = async (channel: ChannelKey, uids: readonly Uid[]): Promise<void> => {
    if (!isDirect(channel)) return;
    // A refusal refuses the removal as well, which asks the same gate.
    for (const uid of uids) await conversations.hide(uid, channel);
  };
  return {
    subscribe: (request) => subscriptions.subscribe(request),
    subscribeInto: (request, sink) => subscriptions.subscribeInto(request, sink),
    subscribeMany: (request) => subscriptions.subscribeMany(request),
    async unsubscribe(request: SubscriptionRequest) {
      await hide(request.channel, request.uids);
      return subscriptions.unsubscribe(request);
    },
    unsubscribeInto(request, sink) {
      if (!isDirect(request.channel)) return subscriptions.unsubscribeInto(request, sink);
      hide(request.channel, request.uids).then(
        () => subscriptions.unsubscribeInto(request, sink),
        (error: unknown) => sink.fail(error),
      );
    },
    async unsubscribeMany(request) {
      for (const { channel, uids } of request.channels) await hide(channel, uids);
      return subscriptions.unsubscribeMany(request);
    },
    async unsubscribeAll(channel, cause) {
      await hide(channel, [...new Set(personsOf(channel))]);
      return subscriptions.unsubscribeAll(channel, cause);
    },
    isSubscribed: (channel, uid) => subscriptions.isSubscribed(channel, uid),
    subscribersOf: (channel, after, limit) => subscriptions.subscribersOf(channel, after, limit),
    channelsOf: (uid, after, limit) => subscriptions.channelsOf(uid, after, limit),
    digest: () => subscriptions.digest(),
  };
}

function isDirect(channel: ChannelKey): boolean {
  return channelTypeOf(channel) === PERSON;
}
