import { channelIdOf, channelTypeOf, parseUid, PERSON, type ChannelKey } from '../../core/ids.ts';
import { CHANNEL_MANAGERS_MAX } from '../../core/kinds/channel.ts';
import type { ChannelFlags, ChannelSettings, Services } from '../../messaging/port.ts';
import { invalid, refusalError, take } from '../errors.ts';
import type * as wire from '../moderation-messages.ts';
import { readChannel, readUids } from '../request.ts';

const DEFAULTS: ChannelSettings & ChannelFlags = {
  ...{ large: false, allowStranger: false, deleted: false, owner: '', managers: [] },
  ...{ ban: false, disband: false, sendBan: false },
  join: 'open',
};

/** Channel, SetChannel and DeleteChannel of channels that have subscribers; throw AdminError. */
export function channelCalls({ directory, subscriptions }: Services) {
  const infoOf = (channel: ChannelKey): wire.ChannelInfo => {
    const known = directory.channel(channel);
    const exists = known !== undefined && !known.deleted;
    const settings = { ...DEFAULTS, ...(exists ? known : {}) };
    const { large, allowStranger, join, ban, disband, sendBan } = settings;
    return {
      ...{ channelId: channelIdOf(channel), channelType: channelTypeOf(channel), exists },
      ...{ large, allowStranger, join, ban, disband, sendBan },
      ...{ owner: settings.owner ?? '', managers: settings.managers ?? [] },
    };
  };
  return {
    Channel: async (request: wire.ChannelRequest) => infoOf(readGroup(request)),

    SetChannel: async (request: wire.SetChannelRequest): Promise<wire.ChannelInfo> => {
      const channel = readGroup(request);
      const { settings, flags } = readChange(request);
      const known = directory.channel(channel);
      // Made by an operator it is closed, and what was deleted starts afresh, as over HTTP.
      const base = known && !known.deleted ? {} : ({ ...DEFAULTS, join: 'closed' } as const);
      const { ban, disband, sendBan, ...plain } = { ...base, ...settings, ...flags };
      const outcome = await directory.setChannel(channel, plain, given({ ban, disband, sendBan }));
      if (!outcome.ok) throw refusalError(outcome);
      return infoOf(channel);
    },

    DeleteChannel: async (request: wire.ChannelRequest): Promise<wire.DeleteChannelReply> => {
      const channel = readGroup(request);
      // Marked first: what is sent while the subscribers go is refused. Both may be repeated.
      const marked = await directory.setChannel(channel, { deleted: true }, {});
      if (!marked.ok) throw refusalError(marked);
      const left = await subscriptions.unsubscribeAll(channel, 'admin');
      if (!left.ok) throw refusalError(left);
      return { unsubscribed: left.value };
    },
  };
}

function readGroup(request: wire.ChannelRequest): ChannelKey {
  if (request.channelType !== PERSON) return readChannel(request);
  throw invalid(
    'channel_type',
    '1 is a person channel, it follows from its uids; expected 2 to 10',
  );
}

function readChange(request: wire.SetChannelRequest): {
  readonly settings: Partial<ChannelSettings>;
  readonly flags: Partial<ChannelFlags>;
} {
  const { large, allowStranger, join, ban, disband, sendBan, owner, managers } = request;
  if (join !== undefined && join !== 'open' && join !== 'closed') {
    throw invalid('join', `expected open or closed, found ${JSON.stringify(join.slice(0, 80))}`);
  }
  const owned = owner ? take(parseUid(owner), 'owner') : owner === '' ? ('' as const) : undefined;
  return {
    settings: given({ large, allowStranger, join, owner: owned, managers: readManagers(managers) }),
    flags: given({ ban, disband, sendBan }),
  };
}

function readManagers(list: wire.UidList | null | undefined): ChannelSettings['managers'] {
  if (!list) return undefined;
  return list.uids.length === 0 ? [] : readUids(list.uids, CHANNEL_MANAGERS_MAX, 'managers.uids');
}

/** What was said; the rest stays as it is. */
function given<Shape extends object>(
  fields: Shape,
): { [Key in keyof Shape]?: Exclude<Shape[Key], undefined> } {
  const said = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(said) as { [Key in keyof Shape]?: Exclude<Shape[Key], undefined> };
}
