import type { ListenAddress } from '../../config/config.ts';

/** A listener that can take a second address before it lets go of the first. */
export interface Rebindable {
  rebind(host: string, port: number): Promise<Rebinding>;
}

export interface Rebinding {
  readonly port: number;
  commit(): void;
  abort(): Promise<void>;
}

export interface AddressChange {
  readonly name: 'client' | 'http' | 'admin';
  readonly from: Pick<ListenAddress, 'host' | 'port'>;
  readonly to: Pick<ListenAddress, 'host' | 'port'>;
  readonly listener: Rebindable;
}

export type Rebound =
  | { readonly ok: true; readonly ports: ReadonlyMap<AddressChange['name'], number> }
  | { readonly ok: false; readonly errors: readonly string[] };

/** All of them or none: where one cannot be bound, every one listens where it did, and the errors say so. */
export async function rebindAll(changes: readonly AddressChange[]): Promise<Rebound> {
  const bound = new Map<AddressChange['name'], Rebinding>();
  for (const { name, from, to, listener } of changes) {
    try {
      bound.set(name, await listener.rebind(to.host, to.port));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const errors = [
        `listen.${name}: ${to.host}:${to.port} cannot be bound (${why}); ` +
          `it goes on at ${from.host}:${from.port}, and nothing of the file is applied`,
      ];
      for (const [other, rebinding] of bound) {
        await rebinding.abort().catch((failed: unknown) => {
          errors.push(
            `listen.${other}: the address before could not be bound again (${String(failed)})`,
          );
        });
      }
      return { ok: false, errors };
    }
  }
  for (const rebinding of bound.values()) rebinding.commit();
  return { ok: true, ports: new Map([...bound].map(([name, { port }]) => [name, port])) };
}
