import { Packr } from 'msgpackr';
import { liveEntries, type Row } from '../row.ts';

/**
 * Kind `t`, key (uid, device flag). A token is valid while its dot is live and no revocation (tag 1) is:
 * setting and revoking both drop only what they have seen, so a concurrent revocation wins.
 */
export const TOKEN_SET = 0;
export const TOKEN_REVOKED = 1;

export interface Token {
  /** SHA-256 of the token, hex: the token itself is never stored. */
  readonly hash: string;
  readonly level: number;
}

const codec = new Packr({ useRecords: false });

export function encodeToken(token: Token): Uint8Array {
  return codec.pack([token.hash, token.level]);
}

/** The tokens that are valid by this row; more than one only while concurrent settings meet. */
export function validTokens(row: Row): Token[] {
  const live = liveEntries(row);
  if (live.some((entry) => entry.tag === TOKEN_REVOKED)) return [];
  const tokens: Token[] = [];
  for (const { value } of live) {
    const fields: unknown = codec.unpack(value);
    if (!Array.isArray(fields)) continue;
    const [hash, level] = fields as unknown[];
    if (typeof hash === 'string' && typeof level === 'number') tokens.push({ hash, level });
  }
  return tokens;
}
