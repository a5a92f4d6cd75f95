import type { WebSocket } from 'ws';
import type { TlsSource } from '../../config/certificate.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { ActionGround } from './actions.ts';
import { Events, type OneBotEvent } from './events.ts';
import { KnownMessages } from './known-messages.ts';
import { BridgeLink } from './link.ts';
import type { BotAccount, BotHandlers, BotMessage, BotWorld, Numbers } from './port.ts';
import type { BridgeRole, BridgeTarget } from './target.ts';

export interface BridgeGround {
  readonly world: BotWorld;
  readonly numbers: Numbers;
  readonly version: string;
  readonly runtime: Runtime;
  readonly log: Log;
  /** What a forward port with TLS shows; undefined where this node has no certificate for clients. */
  readonly tls?: TlsSource | undefined;
  /** A stranger came to a forward port; the HTTP status that it was given. */
  readonly onRefused?: ((status: string) => void) | undefined;
}

export interface BridgeOptions extends BridgeGround {
  /** Of the kept connection: names the place from which the next attempt goes on. */
  readonly id: string;
  readonly target: BridgeTarget;
  readonly onAccount: BotHandlers['onState'];
  readonly onLinkClosed: (why: string, left: number) => void;
}

const MESSAGES_KNOWN_MAX = 10_000;

/**
 * A bot and the sockets that speak for it. The account is open while somebody is there to hear, so that what
 * comes meanwhile waits in the cluster and is replayed to the one who comes next.
 */
export class Bridge {
  readonly #options: BridgeOptions;
  readonly #links = new Set<BridgeLink>();
  readonly #events: Events;
  readonly #messages = new KnownMessages(MESSAGES_KNOWN_MAX);
  #account: BotAccount | undefined;
  #unwatch: (() => void) | undefined;
  #isOnline = false;
  /** Something came that no socket took: the account has to begin again where everything was taken. */
  #missed = false;

  constructor(options: BridgeOptions) {
    this.#options = options;
    const { numbers, world } = options;
    this.#events = new Events(options.target.uid, {
      ...{ numbers, messages: this.#messages },
      roleOf: (group, uid) => world.roleOf(group, uid),
    });
  }

  get selfId(): number {
    return this.#events.selfId;
  }

  get links(): number {
    return this.#links.size;
  }

  /** Takes over an open socket. */
  attach(socket: WebSocket, role: BridgeRole, peer: string): void {
    const { runtime, log, target } = this.#options;
    const link = new BridgeLink({
      ...{ socket, role, peer, runtime, log, events: this.#events, ground: this.#ground() },
      heartbeatMs: target.heartbeatMs,
      onClosed: (closed, why) => this.#closed(closed, why),
    });
    this.#links.add(link);
    if (link.takesEvents && this.#missed) this.#stopAccount();
    this.#account ??= this.#open();
    this.#unwatch ??= this.#watch();
  }

  close(reason: string): void {
    this.#stopAccount();
    for (const link of this.#links) link.close(reason);
    this.#links.clear();
  }

  #open(): BotAccount {
    const { world, id, target } = this.#options;
    const { uid, token } = target;
    this.#missed = false;
    return world.open(
      { id, uid, token },
      {
        onMessage: async (message) => {
          this.#messages.note(message);
          const event = message.fromUid === uid ? undefined : this.#eventOf(message);
          return event === undefined || (await this.#tell(event));
        },
        onRecall: (recall) => {
          this.#messages.recalled(recall);
          const event = this.#events.recall(recall, this.#options.runtime.clock.wallMs());
          if (event) void this.#tell(event);
        },
        onState: (state, reason) => {
          this.#isOnline = state === 'connected';
          this.#options.onAccount(state, reason);
        },
      },
    );
  }

  /** Undefined for what is told to no bot, a payload too that nobody can write down. */
  #eventOf(message: BotMessage): OneBotEvent | undefined {
    try {
      return this.#events.message(message);
    } catch (error) {
      const { messageId } = message;
      this.#options.log.warn('a message cannot be told to a bot', { messageId, error });
      return undefined;
    }
  }

  /** What nobody hears now is told to nobody: members can be asked for. */
  #watch(): () => void {
    const { world, target, runtime } = this.#options;
    return world.watchMembers(target.uid, (change) => {
      const event = this.#events.member(change, runtime.clock.wallMs());
      for (const link of this.#links) link.event(event);
    });
  }

  /** Whether one of them has read it. Once one event was missed, what comes after it comes again too. */
  async #tell(event: OneBotEvent): Promise<boolean> {
    const takers = [...this.#links].filter((link) => link.event(event));
    if (takers.length === 0) this.#missed = true;
    if (this.#missed) return false;
    const isRead = await anyOf(takers.map((link) => link.whenRead()));
    if (!isRead) this.#missed = true;
    return isRead;
  }

  #closed(link: BridgeLink, why: string): void {
    if (!this.#links.delete(link)) return;
    if (this.#links.size === 0) this.#stopAccount();
    this.#options.onLinkClosed(why, this.#links.size);
  }

  #stopAccount(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#account?.stop();
    this.#account = undefined;
    this.#isOnline = false;
  }

  #ground(): ActionGround {
    const { world, numbers, version, runtime, target } = this.#options;
    const account = (): BotAccount => {
      if (this.#account) return this.#account;
      throw new Error('the bot is not connected');
    };
    return {
      ...{ uid: target.uid, version, world, numbers, messages: this.#messages },
      account: {
        send: (to, payload) => account().send(to, payload),
        recall: (to, message) => account().recall(to, message),
        recent: (to, limit) => account().recent(to, limit),
      },
      isOnline: () => this.#isOnline,
      wallMs: () => runtime.clock.wallMs(),
    };
  }
}

/** As soon as one says so. */
function anyOf(answers: readonly Promise<boolean>[]): Promise<boolean> {
  return Promise.any(
    answers.map(async (answer) => (await answer) || Promise.reject(new Error())),
  ).catch(() => false);
}
