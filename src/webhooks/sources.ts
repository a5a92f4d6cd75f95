import type { Repair } from '../audit/port.ts';
import { hlcToMs } from '../core/hybrid-clock.ts';
import { channelIdOf, channelTypeOf, type ActorId, type MemberId } from '../core/ids.ts';
import { decodeMessage } from '../core/kinds/message.ts';
import { RECALL } from '../core/row.ts';
import type { RoutedSession, SessionRegistry } from '../messaging/port.ts';
import type { Clock } from '../runtime/port.ts';
import type { Change, ReplicaListener } from '../storage/replica-port.ts';
import { textFits, type OutboxEvent } from './event.ts';
import type { WebhookEventType } from './port.ts';

export interface SourceOptions {
  readonly self: MemberId;
  readonly actor: ActorId;
  readonly clock: Clock;
  readonly sessions: Pick<SessionRegistry, 'online'>;
  /** Whether any endpoint takes events of this type. */
  readonly wanted: (type: WebhookEventType) => boolean;
  readonly emit: (event: OutboxEvent) => void;
  /** Runs the task once this member knows which sessions all the others have. */
  readonly whenKnown: (task: () => void) => void;
}

/** What happens on this node, as events. Those of messages are found by every node that has the message. */
export class EventSources {
  readonly #options: SourceOptions;
  #counter = 0;

  constructor(options: SourceOptions) {
    this.#options = options;
  }

  /** In the tick in which a row is staged: its event reaches the disk with it. */
  listener(): ReplicaListener {
    return {
      onSubmitted: () => {},
      onDurable: () => {},
      onStaged: (changes) => {
        for (const change of changes) if (change.key[0] === 'm') this.#onMessage(change);
      },
    };
  }

  onSession(session: RoutedSession, change: 'connected' | 'disconnected'): void {
    if (!this.#options.wanted('user.onlinestatus')) return;
    if (change === 'connected') this.#tellStatus(session, 1);
    // Who is elsewhere by now is not offline; after a pause this node has to be told that first.
    else this.#options.whenKnown(() => this.#tellStatus(session, 0));
  }

  #tellStatus(session: RoutedSession, state: 0 | 1): void {
    const { uid, deviceFlag, id } = session;
    const online = this.#options.sessions.online(uid);
    const ofDevice = online.filter((device) => device.deviceFlag === deviceFlag).length;
    const text = [uid, deviceFlag, state, id, ofDevice, online.length].join('-');
    this.#emitText('user.onlinestatus', () => text);
  }

  onRepair({ layer, action, cause, channel, uid, wallMs, detail }: Repair): void {
    if (!channel || !uid || action === 'alarm' || action === 'rebuilt') return;
    this.#emitText('subscription.repaired', (id) =>
      JSON.stringify({
        ...{ id, node: this.#options.self, at: Math.floor(wallMs), layer, action, cause, uid },
        ...{ channel_id: channelIdOf(channel), channel_type: channelTypeOf(channel) },
        detail: detail?.slice(0, 1_000),
      }),
    );
  }

  #onMessage({ key, before, after, restored }: Change): void {
    const [entry] = after;
    if (!entry || restored) return;
    const { wanted, emit } = this.#options;
    const isRecall = entry.tag === RECALL;
    // Of a message that came here as a tombstone nothing but the recall is told.
    const isNews = isRecall ? before[0]?.tag !== RECALL : before.length === 0;
    if (!isNews) return;
    const types: readonly WebhookEventType[] = isRecall
      ? ['message.recalled']
      : ['msg.notify', 'msg.offline'];
    if (!types.some(wanted)) return;
    const message = decodeMessage(entry.value);
    if (!message) return;
    for (const type of types) {
      // A command is for devices, and nothing to wake somebody up for.
      if (!wanted(type) || (type === 'msg.offline' && message.syncOnce)) continue;
      emit({
        ...{ id: `${type}:${message.messageId}`, type, author: entry.actor },
        atMs: hlcToMs(entry.hlc),
        content: { kind: 'message', key },
      });
    }
  }

  #emitText(type: WebhookEventType, textOf: (id: string) => string): void {
    const { wanted, emit, actor, clock } = this.#options;
    if (!wanted(type)) return;
    this.#counter += 1;
    const id = `${type}:${actor}-${this.#counter}`;
    const text = textOf(id);
    if (!textFits(text)) return;
    emit({ id, type, author: actor, atMs: clock.wallMs(), content: { kind: 'text', text } });
  }
}
