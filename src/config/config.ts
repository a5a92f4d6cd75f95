import { resolve } from 'node:path';
import type { TlsFiles } from './certificate.ts';
import type { RawConfig } from './schema.ts';
import { SURFACES, tlsFilesOf, type Surface } from './tls.ts';

type CamelKey<Key extends string> = Key extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelKey<Tail>>}`
  : Key;

type Camel<Value> = Value extends readonly (infer Item)[]
  ? readonly Camel<Item>[]
  : Value extends object
    ? { readonly [Key in keyof Value as CamelKey<Key & string>]: Camel<Value[Key]> }
    : Value;

type Written = Camel<RawConfig>;

/** First the one to present, both accepted; empty: not configured. Never logged. */
export type Secrets = readonly string[];

/** Where one surface listens; `tls`: undefined for plain text. */
export interface ListenAddress {
  /** False: bound, but every connection is refused. Absent: it is always enabled. */
  readonly enabled?: boolean | undefined;
  readonly host: string;
  readonly port: number;
  readonly advertise?: string | undefined;
  readonly tls: TlsFiles | undefined;
}

/** The whole configuration, checked, with every default filled in. Units are last in the names. */
export interface Config extends Omit<Written, 'cluster' | 'node' | 'http' | 'admin' | 'listen'> {
  readonly cluster: {
    readonly id: string;
    readonly secrets: Secrets;
    /** The constant of `messageSeq = counter × slots + slot`. */
    readonly slots: number;
  };
  readonly node: {
    readonly id: string;
    /** Undefined with etcd, where the roster gives it, unless the configuration says one. */
    readonly slot: number | undefined;
    /** Absolute. */
    readonly dataDir: string;
    readonly shutdownGraceMs: number;
    /** 0: certificates are read again when that is asked for, and at no other time. */
    readonly certificatesCheckSeconds: number;
    /** 0: the configuration is read again when that is asked for, and at no other time. */
    readonly reloadCheckSeconds: number;
  };
  readonly listen: { readonly [Name in Surface]: ListenAddress };
  readonly http: Omit<Written['http'], 'managerToken'> & { readonly managerTokens: Secrets };
  readonly admin: { readonly tokens: Secrets };
}

export type MemberEntry = Written['members'][number];

export const SLOTS_OF_A_CLUSTER = 32;

/** Fills in what depends on more than one key. `folder`: what relative paths are relative to. */
export function toConfig(raw: RawConfig, folder: string): Config {
  const written = camel(raw) as Written;
  const id = raw.node.id ?? raw.members[0]?.id ?? 'node-1';
  const entry = raw.members.find((member) => member.id === id);
  const dataDir = raw.node.data_dir.replaceAll('{id}', id);
  const { managerToken, ...http } = written.http;
  return {
    ...written,
    cluster: {
      id: raw.cluster.id,
      secrets: raw.cluster.secret,
      slots: raw.cluster.slots ?? (isLone(raw) ? 1 : SLOTS_OF_A_CLUSTER),
    },
    node: {
      id,
      slot: entry?.slot ?? raw.node.slot ?? (raw.membership.mode === 'static' ? 0 : undefined),
      dataDir: resolve(folder, dataDir),
      shutdownGraceMs: raw.node.shutdown_grace_ms,
      certificatesCheckSeconds: raw.node.certificates_check_seconds,
      reloadCheckSeconds: raw.node.reload_check_seconds,
    },
    listen: Object.fromEntries(
      SURFACES.map((name) => [
        name,
        { ...written.listen[name], tls: tlsFilesOf(raw, name, folder) },
      ]),
    ) as Config['listen'],
    http: { ...http, managerTokens: managerToken },
    admin: { tokens: raw.admin.token },
  };
}

/** One static node without others: it needs nothing else, and its message numbers have no holes. */
export function isLone(raw: RawConfig): boolean {
  return raw.membership.mode === 'static' && raw.members.length <= 1;
}

function camel(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camel);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [camelKey(key), camel(inner)]),
  );
}

function camelKey(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
