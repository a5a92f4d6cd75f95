import { createHmac } from 'node:crypto';

export const HEADERS = {
  timestamp: 'holdfast-timestamp',
  signature: 'holdfast-signature',
  ids: 'holdfast-event-ids',
} as const;

/**
 * The value of `holdfast-signature`: for each secret `v1=` and the hex HMAC-SHA256 of the timestamp (seconds
 * since 1970, as the header has it), a point and the body's bytes.
 */
export function signatureOf(secrets: readonly string[], timestamp: string, body: string): string {
  return secrets
    .map((secret) => createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex'))
    .map((hex) => `v1=${hex}`)
    .join(',');
}
