import { PERSON, type ChannelKey, type Uid } from '../../core/ids.ts';
import { CHANNEL_MANAGERS_MAX } from '../../core/kinds/channel.ts';
import { ownChannel } from '../../core/placement.ts';
import type { ChannelFlags, ChannelSettings, Services } from '../../messaging/port.ts';
import {
  fieldsOf,
  readChannelKey,
  readChannelType,
  readChoice,
  readFlag,
  readGroupChannel,
  readUid,
  readUids,
  type Fields,
} from '../body.ts';
import { badRequest, OK, valueOf } from '../http-error.ts';
import type { ApiCalls, ApiContext } from '../port.ts';

/** Subscribers that are looked at in one step when a list is replaced. */
const PAGE_SIZE = 1000;

/** Channel type of lists that exist for one message or one occasion. */
export const TEMPORARY = 8;

interface ChannelChange {
  readonly settings: Partial<ChannelSettings>;
  readonly flags: Partial<ChannelFlags>;
}

export function channelCalls(context: ApiContext): ApiCalls {
  return { ...settingsCalls(context), ...subscriberCalls(context) };
}

function settingsCalls({ services, uidsMax }: ApiContext): ApiCalls {
  return {
    async '/channel'(body) {
      const fields = fieldsOf(body);
      const channel = readGroupChannel(fields);
      const change = readChange(fields, channel, services);
      const uids = readUids(fields, 'subscribers', uidsMax);
      const replace = readFlag(fields, 'reset') ?? false;
      const disbanded = change.flags.disband ?? services.directory.channel(channel)?.disband;
      if (disbanded && uids.length > 0) {
        throw badRequest('subscribers: expected none, the channel is disbanded');
      }
      valueOf(await services.directory.setChannel(channel, change.settings, change.flags));
      if (replace) await unsubscribeOthers(services, channel, uids);
      await subscribe(services, channel, uids);
      return OK;
    },

    async '/channel/info'(body) {
      const fields = fieldsOf(body);
      if (readChannelType(fields) === PERSON) return setOwn(services, fields);
      const channel = readGroupChannel(fields);
      const { settings, flags } = readChange(fields, channel, services);
      valueOf(await services.directory.setChannel(channel, settings, flags));
      return OK;
    },

    async '/channel/delete'(body) {
      const channel = readGroupChannel(fieldsOf(body));
      // Marked first: what is sent while the subscribers go is refused. Both may be repeated.
      valueOf(await services.directory.setChannel(channel, { deleted: true }, {}));
      valueOf(await services.subscriptions.unsubscribeAll(channel, 'http'));
      return OK;
    },
  };
}

function subscriberCalls({ services, uidsMax }: ApiContext): ApiCalls {
  return {
    async '/channel/subscriber_add'(body) {
      const fields = fieldsOf(body);
      const channel = readGroupChannel(fields);
      // A subscriber for the time being is one like any other, until it is removed.
      readFlag(fields, 'temp_subscriber');
      const uids = readSomeUids(fields, uidsMax);
      const replace = readFlag(fields, 'reset') ?? false;
      await makeKnown(services, channel);
      if (replace) await unsubscribeOthers(services, channel, uids);
      await subscribe(services, channel, uids);
      return OK;
    },

    async '/channel/subscriber_remove'(body) {
      const fields = fieldsOf(body);
      const channel = readGroupChannel(fields);
      const uids = readSomeUids(fields, uidsMax);
      const wanted = { channel, uids, cause: 'http', waitFor: 'all' } as const;
      valueOf(await services.subscriptions.unsubscribe(wanted));
      return OK;
    },

    /** The list of a temporary channel, the whole of it. */
    async '/tmpchannel/subscriber_set'(body) {
      const fields = fieldsOf(body);
      const channel = readChannelKey(fields, TEMPORARY);
      const uids = readUids(fields, 'uids', uidsMax);
      if (uids.length === 0) throw badRequest('uids: expected at least one uid, found none');
      await makeKnown(services, channel);
      await unsubscribeOthers(services, channel, uids);
      await subscribe(services, channel, uids);
      return OK;
    },

    async '/channel/subscriber_remove_all'(body) {
      const channel = readGroupChannel(fieldsOf(body));
      valueOf(await services.subscriptions.unsubscribeAll(channel, 'http'));
      return OK;
    },
  };
}

/** All that a user's own channel has: whether it takes messages of strangers. */
async function setOwn(services: Services, fields: Fields): Promise<string> {
  const uid = readUid(fields, 'channel_id');
  const allowStranger = readFlag(fields, 'allow_stranger');
  if (allowStranger === undefined) {
    throw badRequest(
      'channel_type: 1 is a person channel, of one user only allow_stranger can be set; it is absent',
    );
  }
  valueOf(await services.directory.setChannel(ownChannel(uid), { allowStranger }, {}));
  return OK;
}

/** A channel that is new, or was deleted, is made; a disbanded one is refused. */
export async function makeKnown(services: Services, channel: ChannelKey): Promise<void> {
  const known = services.directory.channel(channel);
  if (known?.disband) throw badRequest('channel_id: the channel is disbanded');
  if (known && !known.deleted) return;
  const { settings, flags } = newChannel();
  valueOf(await services.directory.setChannel(channel, settings, flags));
}

function readSomeUids(fields: Fields, max: number): readonly Uid[] {
  const uids = readUids(fields, 'subscribers', max);
  if (uids.length === 0) throw badRequest('subscribers: expected at least one uid, found none');
  return uids;
}

/**
 * What the body says; a field that it leaves out stays as it is, so that no call lifts a ban that it
 * does not mention. In a channel that is new, or was deleted, it takes its default.
 */
function readChange(fields: Fields, channel: ChannelKey, services: Services): ChannelChange {
  const known = services.directory.channel(channel);
  const base = known && !known.deleted ? { settings: {}, flags: {} } : newChannel();
  return {
    settings: defined<ChannelSettings>(base.settings, {
      large: readFlag(fields, 'large'),
      allowStranger: readFlag(fields, 'allow_stranger'),
      join: readChoice(fields, 'join', ['open', 'closed']),
      owner: readOwner(fields),
      managers: fields['managers'] == null ? undefined : readManagers(fields),
    }),
    flags: defined<ChannelFlags>(base.flags, {
      ban: readFlag(fields, 'ban'),
      disband: readFlag(fields, 'disband'),
      sendBan: readFlag(fields, 'send_ban'),
    }),
  };
}

/** Empty for nobody; undefined where absent. */
function readOwner(fields: Fields): Uid | '' | undefined {
  const owner = fields['owner'];
  if (owner === undefined || owner === null) return undefined;
  return owner === '' ? '' : readUid(fields, 'owner');
}

function readManagers(fields: Fields): readonly Uid[] {
  return readUids(fields, 'managers', CHANNEL_MANAGERS_MAX);
}

/** The backend made it, so the backend decides who subscribes. */
function newChannel(): ChannelChange {
  return {
    settings: { large: false, allowStranger: false, join: 'closed', deleted: false },
    flags: { ban: false, disband: false, sendBan: false },
  };
}

function defined<Shape>(
  base: Partial<Shape>,
  changes: { readonly [Key in keyof Shape]?: Shape[Key] | undefined },
): Partial<Shape> {
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  return { ...base, ...(Object.fromEntries(given) as Partial<Shape>) };
}

export async function subscribe(
  services: Services,
  channel: ChannelKey,
  uids: readonly Uid[],
): Promise<void> {
  if (uids.length === 0) return;
  const wanted = { channel, uids, cause: 'http', waitFor: 'all' } as const;
  valueOf(await services.subscriptions.subscribe(wanted));
}

/** Unsubscribes everyone who is not in `kept`, page by page, so that memory does not follow the channel. */
async function unsubscribeOthers(
  services: Services,
  channel: ChannelKey,
  kept: readonly Uid[],
): Promise<void> {
  const { subscriptions } = services;
  const keep = new Set(kept);
  let after: Uid | undefined;
  for (;;) {
    const page = await subscriptions.subscribersOf(channel, after, PAGE_SIZE);
    if (page.length === 0) return;
    const uids = page.filter((uid) => !keep.has(uid));
    if (uids.length > 0) {
      const wanted = { channel, uids, cause: 'http', waitFor: 'all' } as const;
      valueOf(await subscriptions.unsubscribe(wanted));
    }
    after = page.at(-1);
  }
}
