import { REASON, refuse, type Refusal } from '../../core/reason-code.ts';
import { encodeTextResult } from '../codec/json-rpc-encode.ts';
import type { PairFrame } from '../codec/frame.ts';
import type { ClientSession } from './session.ts';

/** A device confirms with the code that it scanned; codes cannot be tried faster than queries. */
export function handlePair(session: ClientSession, { ref, code }: PairFrame): void {
  const { services, limits, counters, log } = session.room;
  const refused = (refusal: Refusal): void => session.dialect!.refuseFrame(session, ref, refusal);
  const { pairings } = services;
  if (!pairings) return refused(refuse(REASON.systemError, 'nothing can be paired here'));
  if (!session.takeQuery() || session.pending >= limits.pendingRequestsMax) {
    counters.frameError('rate');
    return refused(refuse(REASON.rateLimited, 'too many requests'));
  }
  session.pending += 1;
  pairings.confirm(code, session.uid).then(
    (outcome) => {
      session.pending -= 1;
      if (!outcome.ok) return refused(outcome);
      const answer = { connection: outcome.value.connection, reasonCode: REASON.success };
      return session.send(encodeTextResult(ref ?? '', JSON.stringify(answer)));
    },
    (error: unknown) => {
      session.pending -= 1;
      log.error('a request of a client failed', { what: 'pair', error });
      refused(refuse(REASON.systemError, 'the server could not do this now'));
    },
  );
}
