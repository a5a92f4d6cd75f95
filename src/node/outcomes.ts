import type {
  ManySubscriptionsRequest,
  Publisher,
  PublishResult,
  Services,
  Sink,
  SubscriptionRequest,
  SubscriptionResult,
  Subscriptions,
} from '../messaging/port.ts';
import type { OperationJournal } from '../audit/operations/port.ts';
import type { Outcome } from '../core/reason-code.ts';
import type { Clock } from '../runtime/port.ts';

/** How the calls of this node ended; plain numbers that only grow. */
export class Outcomes {
  published = 0;
  publishesRefused = 0;
  /** Published with one disk although a peer was live. */
  shortOfDisk = 0;
  subscribed = 0;
  unsubscribed = 0;
  subscriptionsRefused = 0;
  /** Told the seconds that one publish in sixteen took. */
  observePublish: ((seconds: number) => void) | undefined;
  /** Acknowledged before every member that was waited for routed by it. */
  shortOfRouting = 0;
}

interface Facts {
  readonly clock: Clock;
  /** Above 0 a second disk was to be had. */
  readonly livePeers: () => number;
  /** Told of every refused call. */
  readonly journal?: Pick<OperationJournal, 'refused'> | undefined;
}

/** The same services, counted. */
export function countOutcomes(services: Services, outcomes: Outcomes, facts: Facts): Services {
  const { publisher, subscriptions } = services;
  return {
    ...services,
    publisher: countPublishes(publisher, outcomes, facts),
    subscriptions: countSubscriptions(subscriptions, outcomes, facts.journal),
  };
}

const SAMPLE = 16;

function countPublishes(inner: Publisher, outcomes: Outcomes, facts: Facts): Publisher {
  const { livePeers, clock } = facts;
  let calls = 0;
  const note = (outcome: Outcome<PublishResult>): void => {
    if (!outcome.ok) outcomes.publishesRefused += 1;
    else {
      outcomes.published += 1;
      const { disks, repeated } = outcome.value;
      if (disks === 1 && !repeated && livePeers() > 0) outcomes.shortOfDisk += 1;
    }
  };
  const publishInto: Publisher['publishInto'] = (request, sink) => {
    const startMs = calls++ % SAMPLE === 0 ? clock.monotonicMs() : undefined;
    inner.publishInto(request, {
      settle(outcome) {
        if (startMs !== undefined) {
          outcomes.observePublish?.((clock.monotonicMs() - startMs) / 1000);
        }
        note(outcome);
        sink.settle(outcome);
      },
      fail: (error) => sink.fail(error),
    });
  };
  return {
    publishInto,
    publish: (request) =>
      new Promise((settle, fail) => {
        publishInto(request, { settle, fail });
      }),
  };
}

function countSubscriptions(
  inner: Subscriptions,
  outcomes: Outcomes,
  journal: Facts['journal'],
): Subscriptions {
  type Action = 'subscribed' | 'unsubscribed';
  const note = (
    action: Action,
    asked: Pick<SubscriptionRequest, 'channel' | 'uids' | 'cause'>,
    outcome: Outcome<SubscriptionResult>,
  ): Outcome<SubscriptionResult> => {
    const count = asked.uids.length;
    if (!outcome.ok) {
      outcomes.subscriptionsRefused += count;
      const { channel, uids, cause } = asked;
      const name = action === 'subscribed' ? 'subscribe' : 'unsubscribe';
      journal?.refused({ action: name, channel, uids, cause, refusal: outcome });
    } else {
      outcomes[action] += count;
      if (outcome.value.missing.length > 0) outcomes.shortOfRouting += count;
    }
    return outcome;
  };
  const one = async (
    action: Action,
    request: SubscriptionRequest,
    done: Promise<Outcome<SubscriptionResult>>,
  ) => note(action, request, await done);
  const many = async (
    action: Action,
    request: ManySubscriptionsRequest,
    done: Promise<readonly Outcome<SubscriptionResult>[]>,
  ) => {
    const results = await done;
    const { cause } = request;
    results.forEach((outcome, i) => note(action, { ...request.channels[i]!, cause }, outcome));
    return results;
  };
  return {
    subscribeInto: (request, sink) =>
      inner.subscribeInto(
        request,
        noted(sink, (outcome) => note('subscribed', request, outcome)),
      ),
    unsubscribeInto: (request, sink) =>
      inner.unsubscribeInto(
        request,
        noted(sink, (outcome) => note('unsubscribed', request, outcome)),
      ),
    subscribe: (request) => one('subscribed', request, inner.subscribe(request)),
    unsubscribe: (request) => one('unsubscribed', request, inner.unsubscribe(request)),
    subscribeMany: (request) => many('subscribed', request, inner.subscribeMany(request)),
    unsubscribeMany: (request) => many('unsubscribed', request, inner.unsubscribeMany(request)),
    async unsubscribeAll(channel, cause) {
      const outcome = await inner.unsubscribeAll(channel, cause);
      if (outcome.ok) outcomes.unsubscribed += outcome.value;
      return outcome;
    },
    isSubscribed: (channel, uid) => inner.isSubscribed(channel, uid),
    subscribersOf: (channel, after, limit) => inner.subscribersOf(channel, after, limit),
    channelsOf: (uid, after, limit) => inner.channelsOf(uid, after, limit),
    digest: () => inner.digest(),
  };
}

function noted<Value>(sink: Sink<Value>, note: (outcome: Outcome<Value>) => void): Sink<Value> {
  return {
    settle(outcome) {
      note(outcome);
      sink.settle(outcome);
    },
    fail: (error) => sink.fail(error),
  };
}
