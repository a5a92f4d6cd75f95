import type { ChannelKey, Uid } from '../../../src/core/ids.ts';
import type { PublishResult } from '../../../src/messaging/port.ts';

/** One message that a client means to send once, however often it has to try. */
export interface Sending {
  readonly channel: ChannelKey;
  readonly sender: Uid;
  readonly clientMsgNo: string;
  readonly payload: Uint8Array;
  readonly calledMs: number;
  /** Sessions that sent it; each gets the acknowledgement only. */
  readonly senderSessions: Set<number>;
  attempts: number;
  result: PublishResult | undefined;
  /** Its only disk was destroyed after it was acknowledged with one disk: it may be gone. */
  mayBeLost: boolean;
  /** From its first call on it is owed to nobody. `lost`: with the only disk that held the recall. */
  recall: 'none' | 'called' | 'acknowledged' | 'lost';
}

/** Every message that was ever sent, by the key that names it for clients and for de-duplication. */
export class MessageTruth {
  readonly #sendings = new Map<string, Sending>();

  add(
    sending: Omit<Sending, 'attempts' | 'result' | 'mayBeLost' | 'recall' | 'senderSessions'>,
  ): Sending {
    const made: Sending = {
      ...sending,
      senderSessions: new Set(),
      attempts: 0,
      result: undefined,
      mayBeLost: false,
      recall: 'none',
    };
    this.#sendings.set(sendKeyOf(sending.channel, sending.sender, sending.clientMsgNo), made);
    return made;
  }

  get(sendKey: string): Sending | undefined {
    return this.#sendings.get(sendKey);
  }

  all(): Iterable<readonly [sendKey: string, Sending]> {
    return this.#sendings;
  }

  acknowledged(): Sending[] {
    return [...this.#sendings.values()].filter((sending) => sending.result !== undefined);
  }
}

export function sendKeyOf(channel: ChannelKey, sender: Uid, clientMsgNo: string): string {
  return `${channel} ${sender} ${clientMsgNo}`;
}
