import type { ChannelCredentials, ChannelOptions, ServerCredentials } from '@grpc/grpc-js';
import type { MemberId } from '../../core/ids.ts';
import type { Member } from '../../core/member.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import { ENVELOPE_BYTES } from './envelope.ts';
import type { GrpcLinkOptions } from './grpc-link.ts';

export interface GrpcPeerTransportOptions {
  readonly self: MemberId;
  readonly cluster: string;
  /** Where peers are accepted; port 0 takes a free one. */
  readonly host: string;
  readonly port: number;
  /**
   * All are valid, for rotation; at most 4. With none, `host` has to be loopback. A function where they
   * change while the node runs: asked with each link.
   */
  readonly secrets: readonly string[] | (() => readonly string[]);
  readonly log: Log;
  readonly runtime: Runtime;
  /** For mTLS; plain text where absent. */
  readonly credentials?:
    | {
        readonly server: ServerCredentials;
        /** Asked with each attempt to reach a member. */
        readonly channelTo: (peer: Member) => ChannelCredentials;
      }
    | undefined;
  /** Largest message, both ways. */
  readonly messageBytesMax?: number | undefined;
  readonly bufferBytesMax?: number | undefined;
  readonly overrunBytesMax?: number | undefined;
  /** From dialling to a proved link. */
  readonly connectDeadlineMs?: number | undefined;
  /** How long a connection may stay without a proof. */
  readonly strangerMs?: number | undefined;
  /** Connections without a proof, at once. */
  readonly strangersMax?: number | undefined;
  /** A peer that is silent for both times together is gone. */
  readonly keepaliveMs?: number | undefined;
  readonly keepaliveTimeoutMs?: number | undefined;
  readonly lingerMs?: number | undefined;
}

const DEFAULTS = {
  messageBytesMax: 4 * 1024 * 1024,
  bufferBytesMax: 1024 * 1024,
  overrunBytesMax: 16 * 1024 * 1024,
  connectDeadlineMs: 3_000,
  strangerMs: 3_000,
  strangersMax: 64,
  keepaliveMs: 2_000,
  keepaliveTimeoutMs: 2_000,
  lingerMs: 250,
};

export type Settings = Omit<GrpcPeerTransportOptions, 'secrets'> &
  typeof DEFAULTS & { readonly secrets: () => readonly string[] };

export function settingsOf(
  options: GrpcPeerTransportOptions & Pick<Settings, 'secrets'>,
): Settings {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...DEFAULTS, ...Object.fromEntries(given) } as Settings;
}

/** How often something was refused or wrong, since the start. */
export interface LinkCounters {
  /** Connections that proved nothing, or the wrong thing. */
  strangersRefused: number;
  /** Peers with a valid secret that meant another member or cluster. */
  peersRefused: number;
  malformedMessages: number;
}

export function linkLimits(
  settings: Settings,
): Pick<
  GrpcLinkOptions,
  'messageBytesMax' | 'bufferBytesMax' | 'overrunBytesMax' | 'lingerMs' | 'timers' | 'log'
> {
  const { messageBytesMax, bufferBytesMax, overrunBytesMax, lingerMs, runtime, log } = settings;
  return {
    messageBytesMax,
    bufferBytesMax,
    overrunBytesMax,
    lingerMs,
    timers: runtime.timers,
    log,
  };
}

export function channelOptions(settings: Settings): ChannelOptions {
  const bytesMax = settings.messageBytesMax + ENVELOPE_BYTES;
  return {
    'grpc.keepalive_time_ms': settings.keepaliveMs,
    'grpc.keepalive_timeout_ms': settings.keepaliveTimeoutMs,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.max_receive_message_length': bytesMax,
    'grpc.max_send_message_length': bytesMax,
    // A retry would keep a copy of what was sent; a link that breaks is opened anew.
    'grpc.enable_retries': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    // One connection a link: a broken one never meets the next attempt.
    'grpc.use_local_subchannel_pool': 1,
    'grpc-node.flow_control_window': settings.bufferBytesMax,
    // A channel that was closed after a failure dials once more when its backoff ends, and keeps that
    // connection for ever: at its peer a stranger. So the end comes at once; the wait is the dialer's.
    'grpc.initial_reconnect_backoff_ms': 1,
    'grpc.max_reconnect_backoff_ms': 1,
  };
}

export function serverOptions(settings: Settings): ChannelOptions {
  const bytesMax = settings.messageBytesMax + ENVELOPE_BYTES;
  return {
    'grpc.keepalive_time_ms': settings.keepaliveMs,
    'grpc.keepalive_timeout_ms': settings.keepaliveTimeoutMs,
    'grpc.max_receive_message_length': bytesMax,
    'grpc.max_send_message_length': bytesMax,
    'grpc.max_concurrent_streams': 1,
  };
}
