import { hash32 } from '../../core/placement.ts';
import type { BotMessage, Place } from './port.ts';

const INT31 = 0x7fff_ffff;
/** Numbers that a message may have, where others took the ones before. */
const PROBES_MAX = 8;

type Where = Place & { readonly messageSeq: number };

/**
 * OneBot names a message by an int32; here that is a hash of where it is, and the next of its hashes where that
 * one names another message already. What they stand for is kept for the newest messages, and found again in
 * what the bot's channels hold. Of one that was taken back only its number is kept.
 */
export class KnownMessages {
  readonly #max: number;
  readonly #byNumber = new Map<number, Where | BotMessage>();

  constructor(max: number) {
    this.#max = max;
  }

  note(message: BotMessage): number {
    const number = this.numberOf(message);
    if (!this.wasRecalled(number)) this.#put(number, message);
    return number;
  }

  /** 1 to 2^31 − 1, of no other message that is known. */
  numberOf(message: Where): number {
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const number = hashOf(message, probe);
      const taken = this.#byNumber.get(number);
      if (!taken || isSame(taken, message)) return number;
    }
    return hashOf(message, PROBES_MAX);
  }

  get(number: number): BotMessage | undefined {
    const known = this.#byNumber.get(number);
    return known && 'payload' in known ? known : undefined;
  }

  /** Its content goes; the number stays taken. */
  recalled({ channelId, channelType, messageSeq }: Where): void {
    const where = { channelId, channelType, messageSeq };
    this.#put(this.numberOf(where), where);
  }

  wasRecalled(number: number): boolean {
    const known = this.#byNumber.get(number);
    return known !== undefined && !('payload' in known);
  }

  #put(number: number, what: Where | BotMessage): void {
    this.#byNumber.delete(number);
    this.#byNumber.set(number, what);
    if (this.#byNumber.size <= this.#max) return;
    for (const oldest of this.#byNumber.keys()) {
      this.#byNumber.delete(oldest);
      break;
    }
  }
}

/** True of a number that the message may have been given. */
export function mayBeCalled(message: Where, number: number): boolean {
  for (let probe = 0; probe <= PROBES_MAX; probe++) {
    if (hashOf(message, probe) === number) return true;
  }
  return false;
}

function isSame(a: Where, b: Where): boolean {
  return (
    a.channelId === b.channelId && a.channelType === b.channelType && a.messageSeq === b.messageSeq
  );
}

function hashOf({ channelId, channelType, messageSeq }: Where, probe: number): number {
  const again = probe === 0 ? '' : ` ${probe}`;
  return hash32(`${channelType}/${channelId} ${messageSeq}${again}`) & INT31 || 1;
}
