import type { ServerWritableStream } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import {
  channelIdOf,
  channelTypeOf,
  parseChannelKey,
  parseUid,
  type ChannelKey,
  type Uid,
} from '../../core/ids.ts';
import type { Services } from '../../messaging/port.ts';
import { AdminError, invalid, take } from '../errors.ts';
import type { ListSubscriptionsRequest, SubscriptionPage } from '../messages.ts';
import type { AdminLimits, Subscription, SubscriptionListing } from '../port.ts';
import { readChannel } from '../request.ts';
import { writeWhenReady } from '../streams.ts';

export interface ListOptions {
  readonly services: Pick<Services, 'subscriptions'>;
  readonly listing: SubscriptionListing | undefined;
  readonly limits: AdminLimits;
}

type Page = readonly Subscription[];
/** Reads the page after a subscription; every filter has one. */
type Reader = (after: Subscription | undefined, limit: number) => Promise<Page>;

/** Streams pages until the last, the client's limit, or the abort. Holds two pages at a time. */
export async function listSubscriptions(
  options: ListOptions,
  call: ServerWritableStream<ListSubscriptionsRequest, SubscriptionPage>,
  signal: AbortSignal,
): Promise<void> {
  const { request } = call;
  const size = request.pageSize || options.limits.pageSizeMax;
  if (size > options.limits.pageSizeMax) {
    throw invalid('page_size', `${size}, at most ${options.limits.pageSizeMax}`);
  }
  const { read, filter, fits } = readerFor(options, request);
  const after = request.pageToken ? decodeToken(request.pageToken, filter) : undefined;
  if (after && fits?.(after) === false) {
    throw invalid('page_token', `is of the list of another ${filter}`);
  }
  let page = await read(after, size);
  for (let sent = 1; !signal.aborted; sent++) {
    const last = page.at(-1);
    // A page may be short for reasons of the table's own; only an empty one says that it was the last.
    const next: Page = last ? await read(last, size) : [];
    const token = last && next.length > 0 ? encodeToken(filter, last) : '';
    await writeWhenReady(call, toColumns(page, token), signal);
    if (next.length === 0 || sent === request.pagesMax) return;
    page = next;
  }
}

type Filter = 'channel' | 'user' | 'all';

function readerFor(
  { services, listing }: ListOptions,
  request: ListSubscriptionsRequest,
): { read: Reader; filter: Filter; fits?: (after: Subscription) => boolean } {
  const { subscriptions } = services;
  if (request.of === 'channel' && request.channel) {
    const names = { id: 'channel.channel_id', type: 'channel.channel_type' };
    const channel = readChannel(request.channel, names);
    const read: Reader = async (after, limit) => {
      const uids = await subscriptions.subscribersOf(channel, after?.uid, limit);
      return uids.map((uid) => ({ channel, uid }));
    };
    return { read, filter: 'channel', fits: (after) => after.channel === channel };
  }
  if (request.of === 'uid') {
    const uid = take(parseUid(request.uid), 'uid');
    const read: Reader = async (after, limit) => {
      const channels = await subscriptions.channelsOf(uid, after?.channel, limit);
      return channels.map((channel) => ({ channel, uid }));
    };
    return { read, filter: 'user', fits: (after) => after.uid === uid };
  }
  if (!listing) {
    throw new AdminError(status.UNIMPLEMENTED, 'this node lists by channel or by uid only');
  }
  return { read: (after, limit) => listing.page(after, limit), filter: 'all' };
}

function toColumns(page: Page, nextPageToken: string): SubscriptionPage {
  return {
    channelIds: page.map(({ channel }) => channelIdOf(channel)),
    channelTypes: page.map(({ channel }) => channelTypeOf(channel)),
    uids: page.map(({ uid }) => uid),
    nextPageToken,
  };
}

/** Opaque to clients: the last subscription of the page, so that it stays good whatever is removed. */
function encodeToken(filter: Filter, { channel, uid }: Subscription): string {
  const text = JSON.stringify([filter, channelIdOf(channel), channelTypeOf(channel), uid]);
  return Buffer.from(text).toString('base64url');
}

function decodeToken(token: string, filter: Filter): Subscription {
  let fields: unknown;
  try {
    fields = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    fields = undefined;
  }
  if (!Array.isArray(fields) || fields.length !== 4) {
    throw invalid('page_token', 'is not a token that a page gave');
  }
  if (fields[0] !== filter) {
    throw invalid('page_token', `is of a list by ${String(fields[0])}, this one is by ${filter}`);
  }
  const channel: ChannelKey = take(parseChannelKey(fields[1], fields[2]), 'page_token');
  const uid: Uid = take(parseUid(fields[3]), 'page_token');
  return { channel, uid };
}
