import { EMPTY_CONTEXT } from '../../core/context.ts';
import type { Uid } from '../../core/ids.ts';
import { aliasOf, encodeAlias } from '../../core/kinds/alias.ts';
import { hash32, shardOf } from '../../core/placement.ts';
import { aliasKey } from '../../core/row-key.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { Numbers, NumberSpace } from './port.ts';

/** Names that are numbers already, below all that are made here. */
const OWN = /^[1-9]\d{0,14}$/;
const FIRST = 10 ** 15;
const LOW_BITS = 20;
const PROBES_MAX = 16;

/**
 * Numbers of users and groups below 2^53, the same on every member because they are hashes, and stored, so
 * that the way back needs no search. Who is given another's number gets the next of its own.
 */
export class StoredNumbers implements Numbers {
  readonly #replica: Pick<Replica, 'read' | 'submit'>;

  constructor(replica: Pick<Replica, 'read' | 'submit'>) {
    this.#replica = replica;
  }

  numberOf(space: NumberSpace, name: string): number {
    if (OWN.test(name)) return Number(name);
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const number = hashed(name, probe);
      const key = aliasKey(space, number);
      const row = this.#replica.read(key);
      const known = aliasOf(row);
      if (known === name) return number;
      if (known !== undefined) continue;
      const value = encodeAlias(name);
      this.#replica.submit(shardOf(String(number) as Uid), [
        { key, tag: 0, context: EMPTY_CONTEXT, value, row },
      ]);
      return number;
    }
    throw new RangeError(`no number is free for ${name}`);
  }

  nameOf(space: NumberSpace, number: number): string | undefined {
    if (OWN.test(String(number))) return String(number);
    return aliasOf(this.#replica.read(aliasKey(space, number)));
  }
}

function hashed(name: string, probe: number): number {
  const low = hash32(`${probe} ${name}`) >>> (32 - LOW_BITS);
  return FIRST + hash32(name) * 2 ** LOW_BITS + low;
}
