/** A part of a OneBot message. */
export interface Segment {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Of a payload: the WuKongIM text message. */
const TEXT = 1;
const SEGMENTS_MAX = 500;
const CQ_CODE = /\[CQ:([A-Za-z0-9_.-]+)((?:,[^,\]=]+=[^,\]]*)*)\]/g;

/** What a bot is shown of a payload. One that is no text of ours is shown as it came. */
export function segmentsOf(payload: Uint8Array): readonly Segment[] {
  const text = new TextDecoder().decode(payload);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return [textSegment(text)];
  }
  const { type, content, segments } = (body ?? {}) as {
    type?: unknown;
    content?: unknown;
    segments?: unknown;
  };
  if (isSegments(segments)) return segments;
  if (type === TEXT && typeof content === 'string') return [textSegment(content)];
  return [{ type: 'json', data: { data: text } }];
}

/** The payload of what a bot sends: text that any client shows, and the segments where there is more. */
export function payloadOf(segments: readonly Segment[]): Uint8Array {
  const content = segments.map(plainOf).join('');
  const isPlain = segments.every(({ type }) => type === 'text');
  const body = isPlain ? { type: TEXT, content } : { type: TEXT, content, segments };
  return new TextEncoder().encode(JSON.stringify(body));
}

/** A message parameter: text with CQ codes, a segment, or an array of them. Undefined where it is none. */
export function readMessage(value: unknown, isPlain: boolean): readonly Segment[] | undefined {
  if (typeof value === 'string') return isPlain ? [textSegment(value)] : parseCodes(value);
  if (isSegment(value)) return [value];
  return isSegments(value) ? value : undefined;
}

/** As `raw_message` shows it. */
export function formatCodes(segments: readonly Segment[]): string {
  return segments
    .map(({ type, data }) => {
      if (type === 'text') return escapeText(textOf(data['text']));
      const pairs = Object.entries(data).map(([name, value]) => `,${name}=${escapeValue(value)}`);
      return `[CQ:${type}${pairs.join('')}]`;
    })
    .join('');
}

function parseCodes(text: string): readonly Segment[] {
  const segments: Segment[] = [];
  let from = 0;
  for (const match of text.matchAll(CQ_CODE)) {
    if (segments.length >= SEGMENTS_MAX) break;
    if (match.index > from) segments.push(textSegment(unescape(text.slice(from, match.index))));
    const pairs = match[2]!
      .split(',')
      .slice(1)
      .map((pair) => {
        const at = pair.indexOf('=');
        return [pair.slice(0, at), unescape(pair.slice(at + 1))] as const;
      });
    segments.push({ type: match[1]!, data: Object.fromEntries(pairs) });
    from = match.index + match[0].length;
  }
  if (from < text.length || segments.length === 0)
    segments.push(textSegment(unescape(text.slice(from))));
  return segments;
}

function plainOf({ type, data }: Segment): string {
  if (type === 'text') return textOf(data['text']);
  if (type === 'at') return `@${textOf(data['qq'])}`;
  return `[${type}]`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function textSegment(text: string): Segment {
  return { type: 'text', data: { text } };
}

function isSegment(value: unknown): value is Segment {
  const { type, data } = (value ?? {}) as Partial<Segment>;
  return typeof type === 'string' && typeof data === 'object' && data !== null;
}

function isSegments(value: unknown): value is readonly Segment[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > SEGMENTS_MAX) return false;
  return value.every(isSegment);
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('[', '&#91;').replaceAll(']', '&#93;');
}

function escapeValue(value: unknown): string {
  return escapeText(typeof value === 'string' ? value : JSON.stringify(value)).replaceAll(
    ',',
    '&#44;',
  );
}

function unescape(text: string): string {
  return text
    .replaceAll('&#91;', '[')
    .replaceAll('&#93;', ']')
    .replaceAll('&#44;', ',')
    .replaceAll('&amp;', '&');
}
