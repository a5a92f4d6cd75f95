import { contextCovers, type Context } from '../../../src/core/context.ts';
import { crc32 } from '../../../src/core/checksum.ts';
import { formatDot, type Dot } from '../../../src/core/dot.ts';
import { KINDS, kindOf } from '../../../src/core/kinds.ts';
import { entryOf, type Operation } from '../../../src/core/operation.ts';
import { mergeRows, REMOVAL, type Entry, type Row } from '../../../src/core/row.ts';
import type { RowKey } from '../../../src/core/row-key.ts';
import type { Findings } from './findings.ts';

export interface KnownWrite {
  readonly dot: Dot;
  readonly key: RowKey;
  readonly entry: Entry;
  readonly hash: number;
}

const encoder = new TextEncoder();

/** Every write that any node ever made, by its dot: what the nodes say is held against it. */
export class WriteRegistry {
  readonly #findings: Findings;
  readonly #isAltered: (key: RowKey) => boolean;
  readonly #writes = new Map<string, KnownWrite>();
  readonly #byKey = new Map<RowKey, KnownWrite[]>();
  readonly #lost = new Set<string>();

  /** `isAltered`: somebody has changed the row behind a node's back, and it is not healed yet. */
  constructor(findings: Findings, isAltered: (key: RowKey) => boolean = () => false) {
    this.#findings = findings;
    this.#isAltered = isAltered;
  }

  get size(): number {
    return this.#writes.size;
  }

  all(): Iterable<KnownWrite> {
    return this.#writes.values();
  }

  keys(): Iterable<RowKey> {
    return this.#byKey.keys();
  }

  writesOf(key: RowKey): readonly KnownWrite[] {
    return this.#byKey.get(key) ?? [];
  }

  get(dot: Dot): KnownWrite | undefined {
    return this.#writes.get(formatDot(dot));
  }

  /** An operation as `where` sees it. Invariant 1: no dot names two different writes. */
  see(operation: Operation, where: string): void {
    for (const write of operation.writes) {
      const entry = entryOf(operation, write);
      this.#see({ shard: operation.shard, key: write.key, entry }, where);
    }
  }

  /** A row as `where` stores it. */
  seeRow(key: RowKey, row: Row, where: string): void {
    const shard = Number.parseInt(key[1]!, 16);
    for (const entry of row) this.#see({ shard, key, entry }, where);
  }

  /** True where the row tells everything that the write had to say: merging it again changes nothing. */
  isApplied(write: KnownWrite, row: Row): boolean {
    const merged = mergeRows(KINDS[kindOf(write.key)!].policy, row, [write.entry]);
    return dotsOf(merged) === dotsOf(row);
  }

  /** It went with the only disk that claimed it. */
  onLost({ dot }: KnownWrite): void {
    this.#lost.add(formatDot(dot));
  }

  isLost({ dot }: KnownWrite): boolean {
    return this.#lost.has(formatDot(dot));
  }

  /** Writes that have seen this one or win over it, and those that have seen them or win over them. */
  successors(write: KnownWrite): KnownWrite[] {
    const found = new Set<KnownWrite>();
    const queue = [write];
    for (let next = queue.pop(); next; next = queue.pop()) {
      for (const other of this.writesOf(write.key)) {
        if (other === next || found.has(other)) continue;
        if (!replaces(other, next)) continue;
        found.add(other);
        queue.push(other);
      }
    }
    return [...found];
  }

  /**
   * The dumb twin of the observed-remove merge: a put lives unless some write has seen it. `survives`
   * tells which writes exist at all, for some may have gone with the only disk that held them.
   */
  shouldBeLive(key: RowKey, survives: (write: KnownWrite) => boolean): boolean {
    const writes = this.writesOf(key).filter(survives);
    const contexts: Context[] = writes.map((write) => write.entry.context);
    return writes.some(
      ({ entry }) =>
        entry.tag !== REMOVAL &&
        !contexts.some((context) => contextCovers(context, entry.actor, entry.counter)),
    );
  }

  #see({ shard, key, entry }: { shard: number; key: RowKey; entry: Entry }, where: string): void {
    const dot: Dot = { actor: entry.actor, shard, counter: entry.counter };
    const name = formatDot(dot);
    const hash = hashOf(key, entry);
    const known = this.#writes.get(name);
    if (!known) {
      const write = { dot, key, entry, hash };
      this.#writes.set(name, write);
      const list = this.#byKey.get(key);
      if (list) list.push(write);
      else this.#byKey.set(key, [write]);
    } else if (known.hash !== hash && !this.#isAltered(key)) {
      const keys = `${JSON.stringify(known.key)} and ${JSON.stringify(key)}`;
      this.#findings.report(1, `dot ${name} names two writes, of ${keys}, at ${where}`);
    }
  }
}

/** Where kinds keep the highest write, it takes the place of the others without having seen them. */
function replaces(other: KnownWrite, { key, entry }: KnownWrite): boolean {
  if (contextCovers(other.entry.context, entry.actor, entry.counter)) return true;
  const { policy } = KINDS[kindOf(key)!];
  return policy !== 'observed' && !mergeRows(policy, [entry], [other.entry]).includes(entry);
}

function dotsOf(row: Row): string {
  return row.map((entry) => `${entry.actor}:${entry.counter}`).join();
}

function hashOf(key: RowKey, entry: Entry): number {
  const context = entry.context.map((span) => `${span.actor}:${span.from}-${span.to}`).join();
  const head = encoder.encode(`${key}|${entry.tag}|${entry.hlc}|${context}|`);
  return crc32(entry.value, crc32(head));
}
