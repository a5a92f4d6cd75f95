import type { Repair, RepairListener } from '../audit/port.ts';
import { LinkCalls } from '../cluster/calls/link-calls.ts';
import type { Replicator } from '../cluster/replication/replicator.ts';
import type { MemberId } from '../core/ids.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';

/** Where every audit and sweep of a node tells what it found, and who wants to know takes it. */
export class Repairs implements RepairListener {
  readonly #log: Log;
  readonly #listeners: RepairListener[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  add(listener: RepairListener): void {
    this.#listeners.push(listener);
  }

  /** What was kept of a peer's interest had been altered; the peer tells all of it again. */
  interestAltered(peer: MemberId, wallMs: number): void {
    this.onRepair({ layer: 'interest', action: 'rebuilt', cause: 'copy-altered', peer, wallMs });
  }

  /** What had gone out to a session had not come to its client, which asked for it. */
  clientMissed(
    { channel, uid, messages }: Pick<Required<Repair>, 'channel' | 'uid'> & { messages: number },
    wallMs: number,
  ): void {
    const detail = `${messages} message${messages === 1 ? '' : 's'} or more`;
    const said = { layer: 'client', action: 'applied', cause: 'messages-missed' } as const;
    this.onRepair({ ...said, channel: channel!, uid: uid!, detail, wallMs });
  }

  /** Probes by a path do not arrive any more. `peer`: absent for the node's own path. */
  pathBroke(
    peer: MemberId | undefined,
    { detail, wallMs }: { detail: string; wallMs: number },
  ): void {
    const cause = peer === undefined ? 'own-path-silent' : 'peer-path-silent';
    this.onRepair({ layer: 'canary', action: 'alarm', cause, peer, detail, wallMs });
  }

  onRepair(repair: Repair): void {
    this.#log.warn('divergence', { ...repair });
    for (const listener of this.#listeners) listener.onRepair(repair);
  }
}

export interface CallParts {
  readonly runtime: Runtime;
  readonly log: Log;
  /** Made after the calls, which its links carry. */
  readonly replicator: () => Replicator | undefined;
}

export function createCalls({ runtime, log, replicator }: CallParts): LinkCalls {
  return new LinkCalls({
    runtime,
    log: log.child({ room: 'calls' }),
    opened: (member) => replicator()?.openedTo(member),
    members: () =>
      replicator()
        ?.peers()
        .map(({ member }) => member) ?? [],
  });
}
