const REASONS = {
  2: 'authentication failed',
  3: 'you are not a subscriber',
  4: 'you are blocked here',
  11: 'not allowed to send',
  13: 'closed: only the backend adds subscribers',
  15: 'the node cannot store it now',
  16: 'not a valid channel id',
  19: 'the channel is banned',
  22: 'too fast',
  24: 'the channel is disbanded',
  25: 'sending is off',
  101: 'there is no such message',
  102: 'not allowed to take it back',
  103: 'too late to take it back',
};

const CLOSES = {
  1000: 'closed',
  1001: 'the node stops',
  1006: 'no answer, or cut off',
  1009: 'a message was too long',
  1011: 'the node failed',
  1012: 'the node restarts',
  1013: 'the node says later',
};

/** Of a WebSocket that closed without words. */
export function closeText(code) {
  return CLOSES[code] ?? `code ${code}`;
}

/** Where the server says no more than a code. */
export function reasonText(code) {
  return REASONS[code] ?? `reason ${code}`;
}

export function recallText({ fromUid, own, recall: { by, role } }) {
  if (by === fromUid) return `${own ? 'you' : fromUid} took this back`;
  return `taken back by ${by || 'the backend'} (${role})`;
}

export function previewText(last, isDirect) {
  if (!last) return '';
  if (last.recall) return recallText(last);
  if (last.own) return `you: ${last.text}`;
  return isDirect ? last.text : `${last.fromUid}: ${last.text}`;
}

/** The time of today, the day of before. */
export function shortTime(timestamp) {
  const time = new Date(timestamp * 1000);
  const isToday = time.toDateString() === new Date().toDateString();
  const how = isToday ? { hour: '2-digit', minute: '2-digit' } : { month: 'short', day: 'numeric' };
  return time.toLocaleString([], how);
}
