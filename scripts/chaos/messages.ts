import { EasyClient } from '../../test/support/clients/easy-client.ts';
import { checkMessages, type MessageFindings, type SentMessage } from './checker.ts';
import { pause } from './workload.ts';

/** Every reader is subscribed to it, and every sender sends to it. */
export const LIVE_CHANNEL = 'live';
const EVERY_MS = 150;
const SUCCESS = 1;

type Sent = SentMessage & { disks: SentMessage['disks'] };

/** One connection of a reader. Its user was subscribed all the time. */
interface Session {
  readonly client: EasyClient;
  readonly k: number;
  readonly openedMs: number;
  isOpen: boolean;
}

export interface LiveVerdict extends MessageFindings {
  readonly sent: number;
  readonly acknowledged: number;
  /** Sessions that were ended by a fault, and those that were open at the end. */
  readonly sessionsEnded: number;
  readonly sessionsOpen: number;
}

/**
 * Messages while faults happen: a sender and a reader on every node. A session that was open from before a
 * message was sent until the end has to have it; one that was ended may lack what came while it was away.
 * No session ever has one twice.
 */
export class LiveMessages {
  readonly #urls: readonly string[];
  readonly #sent: Sent[] = [];
  readonly #sessions: Session[] = [];
  /** What such a node acknowledged as being on one disk may be gone with that disk. */
  readonly #lostDisks = new Set<number>();

  constructor(urls: readonly string[]) {
    this.#urls = urls;
  }

  noteDiskLost(k: number): void {
    this.#lostDisks.add(k);
  }

  acknowledgedSoFar(): number {
    return this.#sent.filter(({ disks }) => disks !== 'unacknowledged').length;
  }

  /** Before any fault: every reader is subscribed, which its receipt says of all members. */
  async subscribeAll(): Promise<void> {
    for (const [index, url] of this.#urls.entries()) {
      const client = new EasyClient({ url, uid: `reader-${index + 1}` });
      await client.connect();
      await client.subscribe(LIVE_CHANNEL);
      client.stop();
    }
  }

  /** Reads on node k until the signal aborts; the last session stays open for the verdict. */
  async read(k: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const client = new EasyClient({ url: this.#urls[k - 1]!, uid: `reader-${k}` });
      try {
        await client.connect();
      } catch {
        client.stop();
        await pause(100);
        continue;
      }
      const session: Session = { client, k, openedMs: performance.now(), isOpen: true };
      this.#sessions.push(session);
      client.ws!.on('close', () => void (session.isOpen = false));
      session.isOpen = client.connected;
      while (session.isOpen && !signal.aborted) await pause(50);
    }
  }

  async send(k: number, signal: AbortSignal): Promise<void> {
    for (let run = 0; !signal.aborted; run++) {
      const client = new EasyClient({ url: this.#urls[k - 1]!, uid: `sender-${k}-${run}` });
      try {
        await client.connect();
        for (let i = 0; !signal.aborted; i++) {
          await this.#sendOne(client, { k, text: `${k}/${run}/${i}` });
          await pause(EVERY_MS);
        }
      } catch {
        await pause(200);
      } finally {
        client.stop();
      }
    }
  }

  async #sendOne(client: EasyClient, { k, text }: { k: number; text: string }): Promise<void> {
    const sent: Sent = { text, atMs: performance.now(), from: k, disks: 'unacknowledged' };
    this.#sent.push(sent);
    const reply = await client.send(LIVE_CHANNEL, 2, text);
    if (reply.reasonCode === SUCCESS) sent.disks = reply.disks ?? 1;
  }

  verdict(): LiveVerdict {
    const sessions = this.#sessions.map(({ client, k, openedMs, isOpen }) => ({
      name: `reader-${k} since ${Math.round(openedMs)}`,
      ...{ openedMs, isOpen, texts: client.texts(LIVE_CHANNEL) },
    }));
    const sessionsOpen = sessions.filter(({ isOpen }) => isOpen).length;
    return {
      ...{ sent: this.#sent.length, acknowledged: this.acknowledgedSoFar() },
      ...checkMessages(this.#sent, sessions, this.#lostDisks),
      ...{ sessionsOpen, sessionsEnded: sessions.length - sessionsOpen },
    };
  }

  stop(): void {
    for (const { client } of this.#sessions) client.stop();
  }
}
