import { channelIdFor } from '../../core/placement.ts';
import { channelTypeOf, type ChannelKey, type Uid } from '../../core/ids.ts';
import { REASON, refuse, type Outcome } from '../../core/reason-code.ts';
import { encodeMissed, encodeRecv, encodeResult } from '../codec/json-rpc-encode.ts';
import type { SyncFrame } from '../codec/frame.ts';
import type { ClientSession } from './session.ts';

type NameChannel = (uid: Uid, channelId: string, channelType: number) => Outcome<ChannelKey>;

/** A client found that it has something else than the digest says: the difference, and nothing more. */
export function handleSync(
  session: ClientSession,
  { ref, sums, missed }: SyncFrame,
  channelFor: NameChannel,
): void {
  const { lists } = session.room.services;
  const refused = (message: string): void =>
    session.dialect!.refuseFrame(session, ref, refuse(REASON.systemError, message));
  if (ref === undefined || !lists) return refused('this node compares no lists');
  if (!missed) return session.send(encodeResult(ref, lists.difference(session, sums)));
  const channel = channelFor(session.uid, missed.channelId, missed.channelType);
  if (!channel.ok) return session.dialect!.refuseFrame(session, ref, channel);
  if (!session.hasJoined(channel.value)) return refused('you are not subscribed to this channel');
  if (session.pending >= session.room.limits.pendingRequestsMax) {
    return refused('too many requests without an answer yet');
  }
  session.pending += 1;
  lists.missed(session, channel.value, missed.after).then(
    ({ deliveries, more }) => {
      session.pending -= 1;
      const channelId = channelIdFor(channel.value, session.uid);
      const channelType = channelTypeOf(channel.value);
      const frames = deliveries.map(({ message, prevSeq }) =>
        encodeRecv({ message, channelId, channelType, prevSeq }),
      );
      session.send(encodeMissed(ref, frames, more));
    },
    (error: unknown) => {
      session.pending -= 1;
      session.room.log.error('a request of a client failed', { what: 'sync', error });
      refused('the server could not do this now');
    },
  );
}
