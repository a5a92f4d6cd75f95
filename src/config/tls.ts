import { resolve } from 'node:path';
import { faultsOfGiven, type TlsFault, type TlsFiles, type TlsFilesGiven } from './certificate.ts';
import type { ConfigProblem, Origin } from './problem.ts';
import type { RawConfig } from './schema.ts';
import type { Path } from './shape.ts';

export const SURFACES = ['client', 'http', 'admin', 'peer'] as const;
export type Surface = (typeof SURFACES)[number];

/** Undefined: plain text. Paths are relative to `folder`. */
export function tlsFilesOf(
  { listen }: Pick<RawConfig, 'listen'>,
  surface: Surface,
  folder: string,
): TlsFiles | undefined {
  const { certificateFile, keyFile, caFile } = filesGiven({ listen }, surface, folder);
  if (certificateFile === undefined || keyFile === undefined) return undefined;
  return { certificateFile, keyFile, caFile };
}

function filesGiven(
  { listen }: Pick<RawConfig, 'listen'>,
  surface: Surface,
  folder: string,
): TlsFilesGiven {
  const tls: Readonly<Record<string, string | undefined>> = listen[surface].tls;
  const at = (path: string | undefined) => (path === undefined ? undefined : resolve(folder, path));
  return {
    certificateFile: at(tls['certificate_file']),
    keyFile: at(tls['key_file']),
    caFile: at(tls['ca_file']),
  };
}

export interface TlsChecking {
  readonly folder: string;
  readonly readText: (path: string) => string;
  readonly nowMs: number;
  readonly originOf: (path: Path) => Origin;
}

/** All that is wrong with the files of all listeners, at once. */
export function checkTls(config: RawConfig, checking: TlsChecking): ConfigProblem[] {
  const { originOf, folder } = checking;
  const plain = plainAddresses(config).map(({ path, found, allowed }) => ({
    ...{ path: path.join('.'), origin: originOf(path), found, allowed },
  }));
  const files = SURFACES.flatMap((surface) => {
    const problem = (key: string, what: Omit<TlsFault, 'key'>): ConfigProblem => {
      const path = ['listen', surface, 'tls', key];
      return { path: path.join('.'), origin: originOf(path), ...what };
    };
    const allowed = `${needs(surface)} together, or none of them`;
    const absent = missing(config, surface).map((key) =>
      problem(key, { found: 'nothing', allowed }),
    );
    const use = surface === 'peer' ? 'peer' : 'server';
    const faults = faultsOfGiven(filesGiven(config, surface, folder), { ...checking, use });
    return [...absent, ...faults.map(({ key, ...what }) => problem(WRITTEN[key], what))];
  });
  return [...plain, ...files];
}

/** Where this node says that it speaks plain text, and does not. */
function plainAddresses({ listen, members, node }: RawConfig) {
  const own = members.findIndex(({ id }) => id === node.id || members.length === 1);
  return (['client', 'http'] as const).flatMap((surface) => {
    if (listen[surface].tls.certificate_file === undefined) return [];
    const secure = surface === 'client' ? 'wss://' : 'https://';
    const said: readonly (readonly [Path, string | undefined])[] = [
      [['listen', surface, 'advertise'], listen[surface].advertise],
      [['members', own, `${surface}_address`], members[own]?.[`${surface}_address`]],
    ];
    return said
      .filter(([, address]) => address !== undefined && !address.startsWith(secure))
      .map(([path, address]) => ({
        path,
        found: JSON.stringify(address),
        allowed: `${secure}…, because listen.${surface}.tls is set`,
      }));
  });
}

const WRITTEN = {
  certificateFile: 'certificate_file',
  keyFile: 'key_file',
  caFile: 'ca_file',
} as const;

function missing({ listen }: RawConfig, surface: Surface): string[] {
  const tls: Readonly<Record<string, string | undefined>> = listen[surface].tls;
  if (Object.values(tls).every((value) => value === undefined)) return [];
  return needed(surface).filter((key) => tls[key] === undefined);
}

/** Members prove themselves to each other, so that without an authority TLS would mean little there. */
function needed(surface: Surface): readonly string[] {
  const pair = ['certificate_file', 'key_file'];
  return surface === 'peer' ? [...pair, 'ca_file'] : pair;
}

function needs(surface: Surface): string {
  return needed(surface).join(', ');
}
