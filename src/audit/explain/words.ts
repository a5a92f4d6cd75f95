import { channelIdOf, channelTypeOf, type ChannelKey } from '../../core/ids.ts';

const KINDS: Readonly<Record<number, string>> = { 1: 'person channel', 2: 'group' };

export function channelWords(channel: ChannelKey): string {
  const type = channelTypeOf(channel);
  return `${KINDS[type] ?? `channel of type ${type}`} ${channelIdOf(channel)}`;
}

/** `3 s`, `4 min`, `2 h`, `12 days`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 2 * 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** UTC, to the second: `2026-11-23 03:04:05`. */
export function moment(ms: number): string {
  return new Date(Math.max(0, ms)).toISOString().slice(0, 19).replace('T', ' ');
}

export function bytesWords(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KB`;
  return `${Math.round(bytes / 1024 / 102.4) / 10} MB`;
}

/** `1 session`, `2 sessions`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** `a`, `a and b`, `a, b and c`. */
export function listWords(names: readonly string[]): string {
  if (names.length <= 1) return names.join('');
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
