import type { ChannelKey } from '../../core/ids.ts';
import { floorOf, isBelowFloor } from '../../core/kinds/floor.ts';
import type { Row } from '../../core/row.ts';
import { floorKey, type RowKey } from '../../core/row-key.ts';
import type { Change, Replica, ReplicaListener } from '../../storage/replica-port.ts';

/** Set with the first floor that this store learns of. */
const FACT = 'floors';
const PRESENT = new Uint8Array([1]);

/** What is absent by rule. While no channel has a floor, as without retention, nothing is looked up. */
export class Floors implements ReplicaListener {
  readonly #replica: Pick<Replica, 'read' | 'fact' | 'setFact'>;
  #any: boolean;
  /** For whoever takes what is cut off the disk. */
  onLeftOver: (channel: ChannelKey) => void = () => {};

  constructor(replica: Pick<Replica, 'read' | 'fact' | 'setFact'>) {
    this.#replica = replica;
    this.#any = replica.fact(FACT) !== undefined;
  }

  /** Some channel has one. */
  note(): void {
    if (this.#any) return;
    this.#any = true;
    this.#replica.setFact(FACT, PRESENT);
  }

  /** True for a message or a send key at or below the floor of its channel. About 2 µs. */
  isCut(key: RowKey, row: Row): boolean {
    return this.#any && isBelowFloor(key, row, (wanted) => this.#replica.read(wanted));
  }

  hasFloor(channel: ChannelKey): boolean {
    return this.#any && floorOf(this.#replica.read(floorKey(channel))) !== undefined;
  }

  /** A message was gone from the disk when it was cut: its send key may still be there. */
  leftOver(channel: ChannelKey): void {
    this.onLeftOver(channel);
  }

  onSubmitted(): void {}

  onDurable(): void {}

  onStaged(changes: readonly Change[]): void {
    if (changes.some(({ key }) => key[0] === 'f')) this.note();
  }
}
