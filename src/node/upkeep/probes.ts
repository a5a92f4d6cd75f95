import { Canary, type CanaryOptions } from '../../audit/canary.ts';
import type { PeerCalls } from '../../cluster/calls/port.ts';
import type { InterestItem } from '../../cluster/link/message.ts';
import type { ChannelKey, MemberId, Uid } from '../../core/ids.ts';
import { encodeMessage, type Message } from '../../core/kinds/message.ts';
import type { Replication } from '../../cluster/replication/port.ts';
import type { Delivery } from '../../messaging/delivery.ts';
import type { Runtime } from '../../runtime/port.ts';

const METHOD = 'canary/publish';
const TEXT_LENGTH_MAX = 128;
/** Has no subscription and sends nothing else. */
const PROBER = 'holdfast' as Uid;

/**
 * The channel that only the member's own probe session is in. Type 0 is no type of a channel that a
 * client or a backend may name, so nobody else can join it, publish to it or find it in a list.
 */
export function probeChannel(member: MemberId): ChannelKey {
  return `0/canary/${member}` as ChannelKey;
}

/** Announced by every node, whether its probe session is there already or not. */
export function probeInterest(member: MemberId): InterestItem {
  return `c${probeChannel(member)}`;
}

export interface ProbeParts {
  readonly self: MemberId;
  readonly runtime: Runtime;
  readonly calls: PeerCalls;
  readonly replication: Pick<Replication, 'peers' | 'sendTransient' | 'announce'>;
  readonly delivery: Pick<Delivery, 'deliver'>;
}

/** Publishes what other members ask for, on their probe channels: every node answers this. */
export function answerProbes({ runtime, calls, replication }: ProbeParts): void {
  calls.answer(METHOD, (from, body) => {
    if (typeof body !== 'string' || body.length > TEXT_LENGTH_MAX) {
      throw new TypeError(`the text of a probe has at most ${TEXT_LENGTH_MAX} characters`);
    }
    replication.sendTransient(probeChannel(from), PROBER, () =>
      encodeMessage(probe(body, runtime)),
    );
    return true;
  });
}

/** The canary of a node whose probe session is there. `pace`: 1, and 5 in the fast profile. */
export function createCanary(
  pace: number,
  parts: ProbeParts,
  onBroken?: CanaryOptions['onBroken'],
): Canary {
  const { self, runtime, calls, replication, delivery } = parts;
  const channel = probeChannel(self);
  replication.announce([probeInterest(self)], []);
  return new Canary({
    runtime,
    publishHere: (text) => delivery.deliver(channel, probe(text, runtime), undefined),
    publishAt: (member, text) =>
      calls.call(member, { method: METHOD, body: text, timeoutMs: 5_000 / pace }),
    livePeers: () =>
      replication
        .peers()
        .filter(({ live }) => live)
        .map(({ member }) => member),
    everyMs: 1_000 / pace,
    brokenAfterMs: 10_000 / pace,
    onBroken,
  });
}

function probe(text: string, { clock }: Runtime): Message {
  return {
    ...{ messageId: 1n, messageSeq: 0, clientMsgNo: '', fromUid: PROBER, topic: '' },
    ...{ noPersist: true, redDot: false, syncOnce: false, setting: 0, expire: 0 },
    timestamp: Math.floor(clock.wallMs() / 1000),
    payload: new TextEncoder().encode(text),
  };
}
