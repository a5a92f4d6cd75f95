import { WebSocket } from 'ws';
import { HoldfastClient, type ReceivedMessage } from '../client/client.ts';
import { BotMembers } from './bot-members.ts';
import { BotPlace, Recent } from './bot-place.ts';
import { ForwardDriver } from '../connections/onebot/forward.ts';
import { StoredNumbers } from '../connections/onebot/numbers.ts';
import type {
  BotAccount,
  BotHandlers,
  BotMessage,
  BotRecall,
  BotWorld,
  Place,
} from '../connections/onebot/port.ts';
import { ReverseDriver } from '../connections/onebot/reverse.ts';
import { pairsWith } from '../connections/onebot/target.ts';
import { withPairing } from '../connections/pairing.ts';
import type { ConnectionDriver } from '../connections/port.ts';
import type { TlsSource } from '../config/certificate.ts';
import { channelIdOf, channelTypeOf, parseChannelKey, PERSON, type Uid } from '../core/ids.ts';
import { personsOf } from '../core/placement.ts';
import type { ChannelSettings, Services } from '../messaging/port.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime, Timer } from '../runtime/port.ts';
import type { Replica } from '../storage/replica-port.ts';
import type { Ground } from './adapters.ts';
import type { NodeCore } from './core.ts';
import { clientUrl } from './probing.ts';
import { VERSION } from './version.ts';

export interface OneBotParts {
  readonly replica: Pick<Replica, 'read' | 'submit' | 'fact' | 'setFact' | 'addListener'>;
  readonly services: Services;
  /** Where clients of this node connect; asked with each connection. */
  readonly clientUrl: () => string;
  /** What a frame of a client may have. Bytes. */
  readonly frameBytesMax: () => number;
  readonly host?: string | undefined;
  /** For forward ports that speak wss://. */
  readonly tls: TlsSource | undefined;
  readonly version: string;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly onRefused: (status: string) => void;
}

const GROUP = 2;
/** Groups, members and partners that a bot is told of. */
const NAMES_MAX = 3_000;
/** Beside the apps of the same user. */
const DEVICE_FLAG = 2;
/** Messages of an account that are not handed on twice, though it goes on from an earlier place. */
const HANDED_MAX = 2_000;
/** A place is kept so soon after what was handed on: a node that was killed goes on from there. */
const PLACE_MS = 200;
const PING_MS = 5_000;
/** Of a frame beside the payload and the channel's id, whose characters may be escaped. */
const FRAME_OVERHEAD = 320;

/** `clientPort`: where the gateway listens now; undefined while it does not. */
export function oneBotParts(
  ground: Ground,
  { replica, services }: NodeCore,
  { metrics, clientPort }: { metrics: Metrics; clientPort: () => number | undefined },
): OneBotParts {
  const { certificates, runtime, log } = ground;
  return {
    ...{ replica, services, runtime, version: VERSION },
    clientUrl() {
      const { client } = ground.config.listen;
      return clientUrl(client, clientPort() ?? client.port);
    },
    frameBytesMax: () => ground.config.gateway.frameBytesMax,
    host: ground.config.gateway.hostsAllowed[0],
    tls: certificates.source('client', 'onebot'),
    log: log.child({ room: 'connections' }),
    onRefused: (status) => metrics.count('holdfast_bridge_refusals_total', { status }),
  };
}

/** Bridges to bots that speak OneBot v11: each is a client of this node on behalf of its user. */
export function oneBotDrivers(parts: () => OneBotParts): ReadonlyMap<string, ConnectionDriver> {
  let made: ReadonlyMap<string, ConnectionDriver> | undefined;
  const drivers = () => {
    if (made) return made;
    const { replica, runtime, log, version, onRefused, tls } = parts();
    const numbers = new StoredNumbers(replica);
    const ground = { world: worldOf(parts()), numbers, version, runtime, log, onRefused, tls };
    const pairing = { pairsWith, random: runtime.random, timers: runtime.timers, log };
    made = new Map<string, ConnectionDriver>([
      ['onebot-reverse', withPairing(new ReverseDriver(ground), pairing)],
      ['onebot-forward', withPairing(new ForwardDriver(ground), pairing)],
    ]);
    return made;
  };
  // Made before the core is that they work on.
  const lazily = (kind: string): ConnectionDriver => ({
    open: (row, tell) => drivers().get(kind)!.open(row, tell),
    check: (target) => drivers().get(kind)!.check(target),
    mayConfirm: (target, uid) => pairsWith(target) === uid,
    forget: (id) => drivers().get(kind)!.forget?.(id),
  });
  return new Map(['onebot-reverse', 'onebot-forward'].map((kind) => [kind, lazily(kind)]));
}

function worldOf(parts: OneBotParts): BotWorld {
  const { subscriptions, directory } = parts.services;
  const settingsOf = (group: string): Pick<ChannelSettings, 'owner' | 'managers'> => {
    const channel = parseChannelKey(group, GROUP);
    return (channel.ok ? directory.channel(channel.value) : undefined) ?? {};
  };
  const members = new BotMembers(parts.replica);
  parts.replica.addListener(members);
  const handed = new Map<string, Recent>();
  const handedTo = (id: string): Recent => {
    const known = handed.get(id) ?? new Recent(HANDED_MAX);
    handed.set(id, known);
    return known;
  };
  const channelsOf = (uid: string) => subscriptions.channelsOf(uid as Uid, undefined, NAMES_MAX);
  return {
    open: (account, handlers) =>
      openAccount(parts, { ...account, handed: handedTo(account.id) }, handlers),
    async groupsOf(uid) {
      const channels = await channelsOf(uid);
      return channels.filter((channel) => channelTypeOf(channel) === GROUP).map(channelIdOf);
    },
    async partnersOf(uid) {
      const channels = await channelsOf(uid);
      return channels
        .filter((channel) => channelTypeOf(channel) === PERSON)
        .flatMap((channel) => (personsOf(channel) ?? []).filter((other) => other !== uid));
    },
    async membersOf(group) {
      const channel = parseChannelKey(group, GROUP);
      if (!channel.ok) return [];
      return subscriptions.subscribersOf(channel.value, undefined, NAMES_MAX);
    },
    watchMembers: (uid, handler) => members.watch(uid, handler),
    roleOf: (group, uid) => {
      const { owner = '', managers = [] } = settingsOf(group);
      if (owner === uid) return 'owner';
      return managers.includes(uid as Uid) ? 'admin' : 'member';
    },
    hasRoles: (group) => {
      const { owner = '', managers = [] } = settingsOf(group);
      return owner !== '' || managers.length > 0;
    },
    async kick(group, uid, by) {
      const channel = parseChannelKey(group, GROUP);
      if (!channel.ok) throw new Error(channel.error);
      const outcome = await members.during({ group, uid, by }, () =>
        subscriptions.unsubscribe({
          ...{ channel: channel.value, uids: [uid as Uid], cause: 'client', waitFor: 'all' },
        }),
      );
      if (!outcome.ok) throw new Error(outcome.message);
    },
  };
}

function openAccount(
  { replica, clientUrl, frameBytesMax, host, runtime, log }: OneBotParts,
  { id, uid, token, handed }: Parameters<BotWorld['open']>[0] & { readonly handed: Recent },
  handlers: BotHandlers,
): BotAccount {
  const fact = `bridge/${id}`;
  const kept = replica.fact(fact);
  const place = new BotPlace(handed, log);
  let placing: Timer | undefined;
  const keepPlaceSoon = (): void => {
    placing ??= runtime.timers.after(PLACE_MS, () => {
      placing = undefined;
      // The answer brings a younger token; without a connection the next one does.
      if (client.state === 'connected') client.ping().catch(() => {});
    });
  };
  const client: HoldfastClient = new HoldfastClient({
    ...{ uid, token, deviceId: `bridge-${id}`, deviceFlag: DEVICE_FLAG, pingMs: PING_MS },
    addresses: [clientUrl()],
    openSocket: (address) =>
      new WebSocket(address, {
        headers: host === undefined ? {} : { host },
        // The node's own port: see clientUrl.
        rejectUnauthorized: false,
      }),
    resumeToken: kept ? new TextDecoder().decode(kept) : '',
    onResumeToken(next) {
      place.whenWhole(() => replica.setFact(fact, new TextEncoder().encode(next)));
    },
    onMessage(message) {
      // A command to apps, as of a recall, is nothing that anyone said; bots are told by notices.
      if (handed.has(message.messageId) || message.header?.syncOnce === true) return;
      place.handOn(message.messageId, handlers.onMessage(toBot(message)), keepPlaceSoon);
    },
    onEvent({ type, data }) {
      if (type === 'message.recalled') handlers.onRecall(data as BotRecall);
    },
    onState(state, reason) {
      if (state === 'kicked') handlers.onState('refused', `kicked: ${reason}`);
      else if (state === 'connected' || state === 'waiting' || state === 'refused')
        handlers.onState(state, reason);
    },
  });
  client.start();
  return {
    async send({ channelId, channelType }, payload) {
      const text = Buffer.from(payload).toString('base64');
      const bytesMax = frameBytesMax() - FRAME_OVERHEAD - 6 * channelId.length;
      if (text.length > bytesMax) {
        throw new Error(`message: ${text.length} bytes in base64, at most ${bytesMax}`);
      }
      return client.send(channelId, channelType, { payload: text });
    },
    async recall({ channelId, channelType }, { messageId, messageSeq }) {
      await client.request('recall', { channelId, channelType, messageId, messageSeq });
    },
    async recent(place: Place, limit) {
      const { channelId, channelType } = place;
      const answer = await client.request('history', { channelId, channelType, limit });
      const messages = answer['messages'] as (ReceivedMessage & { readonly recall?: unknown })[];
      return messages.filter(({ recall }) => recall === undefined).map(toBot);
    },
    stop() {
      placing?.cancel();
      client.stop();
    },
  };
}

function toBot({ payload, ...message }: ReceivedMessage): BotMessage {
  return { ...message, payload: Buffer.from(payload, 'base64') };
}
