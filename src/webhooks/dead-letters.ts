import { Packr } from 'msgpackr';
import { SEPARATOR } from '../core/row-key.ts';
import type { Mutation, Store } from '../storage/port.ts';
import { eventFields, readEvent, type OutboxEvent } from './event.ts';
import type { DeadLetter } from './port.ts';

const PREFIX = `o${SEPARATOR}x${SEPARATOR}`;
const ERROR_LENGTH_MAX = 200;
const codec = new Packr({ useRecords: false });

interface Letter {
  readonly event: OutboxEvent;
  readonly deadAtMs: number;
  readonly error: string;
}

/** What was given up, on the disk of the node that gave it up (`o/x/endpoint/id`). */
export class DeadLetters {
  readonly #store: Store;
  readonly #lettersMax: number;
  /** Of each endpoint the ids, the oldest first. */
  readonly #ids = new Map<string, Set<string>>();

  private constructor(store: Store, lettersMax: number) {
    this.#store = store;
    this.#lettersMax = lettersMax;
  }

  static async open(
    store: Store,
    endpoints: readonly string[],
    lettersMax: number,
  ): Promise<DeadLetters> {
    const letters = new DeadLetters(store, lettersMax);
    for (const endpoint of endpoints) {
      const found: Letter[] = [];
      for await (const letter of letters.#scan(endpoint, '', lettersMax)) found.push(letter);
      const ids = found.toSorted((a, b) => a.deadAtMs - b.deadAtMs).map(({ event }) => event.id);
      letters.#ids.set(endpoint, new Set(ids));
    }
    return letters;
  }

  count(endpoint: string): number {
    return this.#ids.get(endpoint)?.size ?? 0;
  }

  /** The mutations that keep it, and that let the oldest go where there is no room. */
  bury(endpoint: string, { event, deadAtMs, error }: Letter): readonly Mutation[] {
    const ids = this.#ids.get(endpoint) ?? new Set<string>();
    this.#ids.set(endpoint, ids);
    ids.delete(event.id);
    ids.add(event.id);
    const value = codec.pack([eventFields(event), deadAtMs, error.slice(0, ERROR_LENGTH_MAX)]);
    const mutations: Mutation[] = [{ key: keyOf(endpoint, event.id), value }];
    for (const oldest of ids) {
      if (ids.size <= this.#lettersMax) break;
      ids.delete(oldest);
      mutations.push({ key: keyOf(endpoint, oldest) });
    }
    return mutations;
  }

  async list(endpoint: string, after: string, limit: number): Promise<readonly DeadLetter[]> {
    const found: DeadLetter[] = [];
    for await (const { event, deadAtMs, error } of this.#scan(endpoint, after, limit)) {
      const { id, type, atMs } = event;
      found.push({ endpoint, id, type, atMs, deadAtMs, error });
    }
    return found;
  }

  /** Takes those out that are here; all without ids. Their rows go when the queue has them. */
  async *take(endpoint: string, ids: readonly string[]): AsyncGenerator<OutboxEvent> {
    const wanted = new Set(ids);
    for await (const { event } of this.#scan(endpoint, '', this.#lettersMax)) {
      if (wanted.size === 0 || wanted.has(event.id)) yield event;
    }
  }

  forget(endpoint: string, id: string): void {
    this.#ids.get(endpoint)?.delete(id);
    this.#store.stage([{ key: keyOf(endpoint, id) }]);
  }

  async *#scan(endpoint: string, after: string, limit: number): AsyncGenerator<Letter> {
    const prefix = PREFIX + endpoint + SEPARATOR;
    const gte = after === '' ? prefix : `${prefix}${after}\u0000`;
    for await (const chunk of this.#store.scan({ gte, lt: `${prefix}\u{10ffff}`, limit })) {
      for (const [, value] of chunk) {
        const letter = decodeLetter(value);
        if (letter) yield letter;
      }
    }
  }
}

function decodeLetter(bytes: Uint8Array): Letter | undefined {
  let fields: unknown;
  try {
    fields = codec.unpack(bytes);
  } catch {
    return undefined;
  }
  if (!Array.isArray(fields)) return undefined;
  const [about, deadAtMs, error] = fields as readonly unknown[];
  const event = readEvent(about);
  if (!event || typeof deadAtMs !== 'number' || typeof error !== 'string') return undefined;
  return { event, deadAtMs, error };
}

function keyOf(endpoint: string, id: string): string {
  return PREFIX + endpoint + SEPARATOR + id;
}
