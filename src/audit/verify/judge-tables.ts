import type { MemberId } from '../../core/ids.ts';
import type { TableDigest } from './local-run.ts';
import type { StepState } from './port.ts';

export interface MemberTable extends TableDigest {
  readonly member: MemberId;
}

export interface TableVerdict {
  readonly state: Exclude<StepState, 'running'>;
  readonly detail: string;
}

/**
 * Tables may only be compared where their members have seen the same writes, and saw no other while they
 * read: anything else would call a write in flight a difference.
 */
export function judgeTables(tables: readonly MemberTable[]): TableVerdict {
  const [first] = tables;
  if (!first) return { state: 'unproven', detail: 'no table was read' };
  const vectors = new Set(
    tables.flatMap(({ vectorBefore, vectorAfter }) => [vectorBefore, vectorAfter]),
  );
  if (vectors.size > 1) return { state: 'unproven', detail: 'writes went on while they were read' };
  const digests = new Set(tables.map(({ digest }) => digest));
  if (digests.size === 1) {
    return { state: 'ok', detail: `${first.subscriptions} subscriptions, digest ${first.digest}` };
  }
  const each = tables.map(({ member, subscriptions }) => `${member} ${subscriptions}`).join(', ');
  return { state: 'different', detail: `the same writes seen, other tables: ${each}` };
}
