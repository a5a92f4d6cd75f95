import type { Uid } from '../../core/ids.ts';
import { TOKEN_REVOKED } from '../../core/kinds/token.ts';
import { REASON } from '../../core/reason-code.ts';
import { liveEntries, type Row } from '../../core/row.ts';
import { splitRowKey } from '../../core/row-key.ts';
import type { Applied, Change } from '../../storage/replica-port.ts';
import type { SessionRegistry } from '../port.ts';

/**
 * Ends the sessions of a device when this node learns that its tokens were revoked, wherever they were:
 * so a device that is told to quit does on every node, after a partition too.
 */
export class SignedOutDevices {
  readonly #sessions: Pick<SessionRegistry, 'sessionsOf'>;

  constructor(sessions: Pick<SessionRegistry, 'sessionsOf'>) {
    this.#sessions = sessions;
  }

  /** Rows of a snapshot are the past of a node that was away: they end nobody's session. */
  onDurable({ operation, changes }: Applied): void {
    if (!operation) return;
    for (const change of changes) if (change.key[0] === 't') this.#onToken(change);
  }

  #onToken({ key, before, after, restored }: Change): void {
    if (restored || !revokesAnew(before, after)) return;
    const [uid, flag] = splitRowKey(key)!.parts as [Uid, string];
    for (const session of [...this.#sessions.sessionsOf(uid)]) {
      if (session.deviceFlag === Number(flag)) session.kick(REASON.kicked, 'signed out');
    }
  }
}

function revokesAnew(before: Row, after: Row): boolean {
  return liveEntries(after).some(
    ({ tag, actor, counter }) =>
      tag === TOKEN_REVOKED &&
      !before.some((entry) => entry.actor === actor && entry.counter === counter),
  );
}
