import type { Implementation } from 'ava';
import type { MemberId } from '../../../src/core/ids.ts';
import type { Member, Roster } from '../../../src/core/member.ts';
import type { Membership } from '../../../src/cluster/membership/port.ts';
import { member } from '../../support/members.ts';

/** What one adapter needs to be put through the suite. */
export interface MembershipCase {
  readonly name: string;
  /** `test`, or `test.skip` where what the adapter needs is absent. */
  readonly run: (title: string, check: Implementation<[]>) => void;
  /** A cluster of these members; `open` makes the membership of one of them. */
  readonly make: (members: readonly Member[]) => Promise<{
    open(self: Member): Membership;
    end(): Promise<void>;
  }>;
}

/** What every adapter of the port must do. */
export function membershipSuite({ name, run, make }: MembershipCase): void {
  const silent = { onRoster: () => {}, onLive: () => {} };

  run(`${name}: start resolves with a sorted roster that has this member`, async (t) => {
    const cluster = await make([member('b', 1), member('a', 0)]);
    const a = cluster.open(member('a', 0));
    const b = cluster.open(member('b', 1));
    try {
      await a.start(member('a', 0), undefined, silent);
      const roster = await b.start(member('b', 1), undefined, silent);
      t.deepEqual(
        roster.members.map(({ id }) => id),
        ['a', 'b'] as MemberId[],
      );
      t.deepEqual(b.roster(), roster);
      t.true(roster.epoch >= 1);
      t.true(b.live().has('b' as MemberId));
      t.deepEqual(b.status(), { state: 'ok' });
    } finally {
      await Promise.all([a.stop(), b.stop()]);
      await cluster.end();
    }
  });

  run(`${name}: a lone member is its own roster`, async (t) => {
    const cluster = await make([]);
    const a = cluster.open(member('a', 0));
    try {
      const roster = await a.start(member('a', 0), undefined, silent);
      t.deepEqual(roster.members, [member('a', 0)]);
    } finally {
      await a.stop();
      await cluster.end();
    }
  });

  run(`${name}: the listener is not called before start has resolved`, async (t) => {
    const cluster = await make([member('a', 0)]);
    const a = cluster.open(member('a', 0));
    let started = false;
    const early: unknown[] = [];
    const listen = (what: Roster | ReadonlySet<MemberId>): void => {
      if (!started) early.push(what);
    };
    try {
      await a.start(member('a', 0), undefined, { onRoster: listen, onLive: listen });
      started = true;
      t.deepEqual(early, []);
    } finally {
      await a.stop();
      await cluster.end();
    }
  });

  run(`${name}: removing who is not there is refused, and stop may be called twice`, async (t) => {
    const cluster = await make([member('a', 0)]);
    const a = cluster.open(member('a', 0));
    try {
      await a.start(member('a', 0), undefined, silent);
      await t.throwsAsync(a.remove('nobody' as MemberId), { code: 'UNKNOWN_MEMBER' });
    } finally {
      await a.stop();
      await a.stop();
      await cluster.end();
    }
  });
}
