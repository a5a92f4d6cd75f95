import { nextHlc } from '../core/hybrid-clock.ts';
import type { ActorId } from '../core/ids.ts';
import type { Row } from '../core/row.ts';
import { REMOVAL } from '../core/row.ts';
import { subscriptionKey, type RowKey } from '../core/row-key.ts';
import type { Runtime } from '../runtime/port.ts';
import type { Store } from '../storage/port.ts';
import { FaultError, type Damage, type Fault, type RowFault } from './port.ts';

export interface RowCodec {
  readonly encode: (key: RowKey, row: Row) => Uint8Array;
  /** Undefined where the checksum does not hold. */
  readonly decode: (key: RowKey, bytes: Uint8Array) => Row | undefined;
}

export interface StoreFaultParts {
  readonly store: Store;
  readonly runtime: Runtime;
  /** How this store writes rows. */
  readonly rows: RowCodec;
}

export type RowDamage = Extract<Fault, { kind: RowFault }>;

/**
 * Damages a subscription's row directly in the store: no sum, no index, no log and no listener hears of
 * it. Resolves once the damage is on disk.
 */
export async function damageRow(parts: StoreFaultParts, fault: RowDamage): Promise<Damage> {
  const { store, runtime, rows } = parts;
  const key = subscriptionKey(fault.channel, fault.uid);
  const { value, told } = damaged(fault, { key, bytes: store.get(key), runtime, rows });
  await new Promise<void>((resolve) => store.stage([{ key, value }], resolve));
  return [`row ${JSON.stringify(key)}: ${told}`];
}

interface Found {
  readonly key: RowKey;
  readonly bytes: Uint8Array | undefined;
  readonly runtime: Runtime;
  readonly rows: RowCodec;
}

interface Damaged {
  readonly value: Uint8Array | undefined;
  readonly told: string;
}

function damaged({ kind }: RowDamage, { key, bytes, runtime, rows }: Found): Damaged {
  if (kind === 'insert-row') {
    if (bytes) throw new FaultError('the row is there already: another user or channel has none');
    const row = unwritten(runtime);
    return { value: rows.encode(key, row), told: `inserted, with a write that nobody made` };
  }
  if (!bytes) throw new FaultError('this node has no row of this user in this channel');
  if (kind === 'delete-row') return { value: undefined, told: `deleted (${bytes.length} bytes)` };
  if (kind === 'corrupt-row') {
    const at = Math.floor(bytes.length / 2);
    const value = bytes.slice();
    value[at]! ^= 0x01;
    return { value, told: `one bit of byte ${at} turned, the checksum does not hold` };
  }
  const row = rows.decode(key, bytes);
  if (!row) throw new FaultError('the row is damaged already');
  const last = row.length - 1;
  const altered = row.map((entry, i) =>
    i === last ? { ...entry, ...alteration(entry.tag) } : entry,
  );
  const { actor, counter, tag } = row[last]!;
  const made = tag === REMOVAL ? 'a subscribe' : 'a removal';
  const told = `entry ${actor}:${counter} made ${made}, the checksum holds`;
  return { value: rows.encode(key, altered), told };
}

/** The opposite of what was written: what a defect could do worst. */
function alteration(tag: number): Pick<Row[number], 'tag' | 'value'> {
  return { tag: tag === REMOVAL ? 0 : REMOVAL, value: new Uint8Array() };
}

/** A live entry of an actor that no vector knows. */
function unwritten({ random, clock }: Runtime): Row {
  const actor = Buffer.from(random.bytes(8)).toString('hex') as ActorId;
  const hlc = nextHlc(0, clock.wallMs());
  return [{ actor, counter: 1, hlc, tag: 0, context: [], value: new Uint8Array() }];
}
