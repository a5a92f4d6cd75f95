import type { SetItem } from '../../core/reconciliation/item.ts';
import type { RowKey } from '../../core/row-key.ts';
import type { Alarms } from './alarms.ts';
import type { Applier } from './apply.ts';
import { holds } from './find-keys.ts';
import type { SweepLimits, SweepOptions } from './options.ts';
import { findDot } from './verdict.ts';
import { METHODS, writeDots } from './wire.ts';

export const QUARANTINE_PREFIX = 'quarantine/';
const COUNT_FACT = 'quarantined';
const ASKED_MAX = 32;

type DotName = Pick<SetItem, 'actor' | 'counter'>;

export interface StrayParts {
  readonly options: SweepOptions;
  readonly limits: SweepLimits;
  readonly applier: Applier;
  readonly alarms: Alarms;
}

/**
 * A live dot here that this member's own vector does not cover, and that did not pass. Covered by some
 * member: its effect is here, so this vector may say so too. By none of a roster that answered to the
 * last one: nobody ever wrote it, it is put aside for the operator. While someone is silent: nothing.
 */
export async function resolveStray(
  { options, limits, applier, alarms }: StrayParts,
  { shard, item, key }: { shard: number; item: SetItem; key: RowKey },
): Promise<void> {
  const { replica } = options;
  const answers = await whoCovers({ options, limits }, shard, item);
  const { actor, counter } = item;
  if (answers.includes(true)) {
    replica.cover([{ actor, shard, from: counter, to: counter }]);
    const about = { action: 'applied', cause: 'vector-raised', dots: [item] } as const;
    options.repairs.onRepair(applier.repair(key, about));
    return;
  }
  const claimed = replica.covers({ actor, shard, from: counter, to: counter });
  if (answers.includes(undefined) || claimed || !holds(replica, key, item)) return;
  putAside({ options, limits, applier, alarms }, { key, item, cause: 'unknown-write' });
}

/** Takes an entry that is in the row out of it, and keeps it for the operator. False where there is no room. */
export function putAside(
  { options, limits, applier, alarms }: StrayParts,
  { key, item, cause }: { key: RowKey; item: DotName; cause: string },
): boolean {
  const about = { action: 'quarantined', cause, dots: [item] } as const;
  if (!keepAside(options, limits, { key, item })) {
    alarms.raise(applier.repair(key, { ...about, action: 'alarm', cause: 'quarantine-full' }));
    return false;
  }
  applier.takeOut(key, findDot(options.replica.read(key), item)!);
  options.repairs.onRepair(applier.repair(key, about));
  return true;
}

/**
 * Those of the dots that no member of a roster that answered to the last one has ever seen: not even a
 * writer, so they are not on their way. While someone is silent: none. At most 32 are asked about.
 */
export async function seenByNobody(
  parts: Pick<StrayParts, 'options' | 'limits'>,
  shard: number,
  items: readonly SetItem[],
): Promise<readonly SetItem[]> {
  const asked = items.slice(0, ASKED_MAX);
  const answers = await Promise.all(asked.map((item) => whoCovers(parts, shard, item)));
  return asked.filter((_, at) => answers[at]!.every((answer) => answer === false));
}

/** Of each other member of the roster; undefined where it did not answer. */
function whoCovers(
  { options, limits }: Pick<StrayParts, 'options' | 'limits'>,
  shard: number,
  item: SetItem,
): Promise<readonly (boolean | undefined)[]> {
  const { calls } = options;
  const body: unknown[] = [shard];
  writeDots(body, [item]);
  return Promise.all(
    options.roster().others.map((member) =>
      calls
        .call(member, { method: METHODS.covers, body, timeoutMs: limits.callTimeoutMs })
        .then((answer) => (Array.isArray(answer) ? answer[0] === true : undefined))
        .catch(() => undefined),
    ),
  );
}

/** False where quarantine is full. */
function keepAside(
  { replica, runtime }: SweepOptions,
  limits: SweepLimits,
  { key, item }: { key: RowKey; item: DotName },
): boolean {
  const count = Number(new TextDecoder().decode(replica.fact(COUNT_FACT)) || 0);
  if (count >= limits.quarantinedMax) return false;
  const entry = findDot(replica.read(key), item)!;
  const text = JSON.stringify({
    ...{ key, actor: entry.actor, counter: entry.counter, tag: entry.tag, hlc: entry.hlc },
    ...{ context: entry.context, value: hex(entry.value), wallMs: runtime.clock.wallMs() },
  });
  replica.setFact(
    `${QUARANTINE_PREFIX}${item.actor}:${item.counter}`,
    new TextEncoder().encode(text),
  );
  replica.setFact(COUNT_FACT, new TextEncoder().encode(String(count + 1)));
  return true;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
