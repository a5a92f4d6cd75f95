import { hash32 } from '../../core/placement.ts';
import type { BotMessage, Place } from './port.ts';

const INT31 = 0x7fff_ffff;

/**
 * OneBot names a message by an int32; here that is a hash of where it is. What it stands for is kept for the
 * newest messages, and found again in what the bot's channels hold.
 */
export class KnownMessages {
  readonly #max: number;
  readonly #byNumber = new Map<number, BotMessage>();

  constructor(max: number) {
    this.#max = max;
  }

  note(message: BotMessage): number {
    const number = numberOf(message, message.messageSeq);
    this.#byNumber.delete(number);
    this.#byNumber.set(number, message);
    if (this.#byNumber.size > this.#max) {
      for (const oldest of this.#byNumber.keys()) {
        this.#byNumber.delete(oldest);
        break;
      }
    }
    return number;
  }

  get(number: number): BotMessage | undefined {
    return this.#byNumber.get(number);
  }
}

/** 1 to 2^31 − 1. */
export function numberOf({ channelId, channelType }: Place, messageSeq: number): number {
  return hash32(`${channelType}/${channelId} ${messageSeq}`) & INT31 || 1;
}
