import { createHash, timingSafeEqual } from 'node:crypto';
import type { Random } from '../runtime/port.ts';
import type { OperatorPort } from './operator-port.ts';

const SESSIONS_MAX = 64;
const LIFETIME_MS = 8 * 3_600_000;
const ID_BYTES = 32;

interface Session {
  /** Of the token that let it in: it ends with the token. */
  readonly token: string;
  readonly untilMs: number;
}

/** Logins of the operator's page: in memory, for eight hours, the oldest gone where there are too many. */
export class OperatorSessions {
  static readonly lifetimeSeconds = LIFETIME_MS / 1000;
  readonly #port: OperatorPort;
  readonly #random: Random;
  /** By the hash of the id, in the order of their beginning. */
  readonly #sessions = new Map<string, Session>();

  constructor(port: OperatorPort, random: Random) {
    this.#port = port;
    this.#random = random;
  }

  /** The id for the cookie; undefined where the token is none of this node. */
  open(token: string): string | undefined {
    const given = digestOf(token);
    let fits = false;
    // Every token is compared, so the time tells neither which one fits nor how far it did.
    for (const known of this.#port.tokens()) {
      fits = timingSafeEqual(given, digestOf(known)) || fits;
    }
    if (!fits) return undefined;
    const id = Buffer.from(this.#random.bytes(ID_BYTES)).toString('base64url');
    const untilMs = this.#port.nowMs() + LIFETIME_MS;
    this.#sessions.set(keyOf(id), { token: given.toString('hex'), untilMs });
    if (this.#sessions.size > SESSIONS_MAX) {
      this.#sessions.delete(this.#sessions.keys().next().value!);
    }
    return id;
  }

  isOpen(id: string): boolean {
    const session = this.#sessions.get(keyOf(id));
    if (!session) return false;
    const known = this.#port
      .tokens()
      .some((token) => digestOf(token).toString('hex') === session.token);
    if (known && this.#port.nowMs() < session.untilMs) return true;
    this.#sessions.delete(keyOf(id));
    return false;
  }

  close(id: string): void {
    this.#sessions.delete(keyOf(id));
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function keyOf(id: string): string {
  return digestOf(id).toString('hex');
}
