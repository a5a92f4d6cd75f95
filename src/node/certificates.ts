import { readTls, type TlsFault, type TlsMaterial, type TlsSource } from '../config/certificate.ts';
import { readText, type Config } from '../config/load.ts';
import { SURFACES, type Surface } from '../config/tls.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime, Timer } from '../runtime/port.ts';

/** Bridges listen with the certificate of the client port. */
export type SecuredListener = Surface | 'onebot';

interface CertificatePorts {
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly runtime: Runtime;
}

/** What became of the certificate of one listener when its files were read again. */
export interface Reloaded {
  readonly surface: Surface;
  readonly outcome: 'unchanged' | 'taken' | 'refused';
  /** Why it was refused; empty else. */
  readonly reasons: readonly string[];
}

/** Files that no configuration check would have let pass: somebody changed them in between. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
  readonly code = 'CERTIFICATE';
}

/** The certificates of a node's listeners: read at the start, and again when their files change. */
export class Certificates {
  readonly #ports: CertificatePorts;
  readonly #checkSeconds: number;
  readonly #kept = new Map<Surface, Kept>();
  readonly #failed = new Map<SecuredListener, number>();
  #timer: Timer | undefined;

  /** Throws CertificateError. */
  constructor({ listen, node }: Pick<Config, 'listen' | 'node'>, ports: CertificatePorts) {
    this.#ports = ports;
    this.#checkSeconds = node.certificatesCheckSeconds;
    for (const surface of SURFACES) {
      const files = listen[surface].tls;
      if (!files) continue;
      const read = this.#read(surface, files);
      if (!read.ok) throw new CertificateError(reasonsOf(surface, read.faults).join('; '));
      this.#kept.set(surface, new Kept(read.material));
    }
    this.#checkLater();
  }

  /** Undefined: the listener speaks plain text. `listener`: who uses the certificate of that surface. */
  source(surface: Surface, listener: SecuredListener = surface): TlsSource | undefined {
    const kept = this.#kept.get(surface);
    if (!kept) return undefined;
    if (!this.#failed.has(listener)) this.#failed.set(listener, 0);
    return {
      current: () => kept.current(),
      onChange: (take) => kept.onChange(take),
      handshakeFailed: () => void this.#failed.set(listener, this.#failed.get(listener)! + 1),
    };
  }

  /** Connections that came to no agreement, where the library tells of them. */
  handshakesFailed(listener: SecuredListener): number {
    return this.#failed.get(listener) ?? 0;
  }

  /** Of those that are in use. */
  expiries(): readonly { readonly surface: Surface; readonly expiresMs: number }[] {
    return [...this.#kept].map(([surface, kept]) => ({
      surface,
      expiresMs: kept.current().expiresMs,
    }));
  }

  /** Reads all files again. What is right is taken for new connections, what is wrong changes nothing. */
  reload(): readonly Reloaded[] {
    const all = this.#reloadAll();
    for (const { surface, outcome, reasons } of all) {
      if (outcome === 'refused') this.#warn(surface, reasons);
    }
    return all;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #reloadAll(): readonly Reloaded[] {
    return [...this.#kept].map(([surface, kept]) => {
      const read = this.#read(surface, kept.current().files);
      if (!read.ok) {
        return { surface, outcome: 'refused', reasons: reasonsOf(surface, read.faults) };
      }
      const { material } = read;
      if (isSame(material, kept.current())) return { surface, outcome: 'unchanged', reasons: [] };
      const error = kept.replace(material);
      if (error !== undefined) return { surface, outcome: 'refused', reasons: [error] };
      this.#ports.log.info('new connections see a new certificate', {
        listener: surface,
        fingerprint: material.fingerprint,
        expires: new Date(material.expiresMs).toISOString(),
      });
      return { surface, outcome: 'taken', reasons: [] };
    });
  }

  #read(surface: Surface, files: NonNullable<Config['listen'][Surface]['tls']>) {
    return readTls(files, {
      readText,
      nowMs: this.#ports.runtime.clock.wallMs(),
      use: surface === 'peer' ? 'peer' : 'server',
    });
  }

  #checkLater(): void {
    const checkSeconds = this.#checkSeconds;
    if (checkSeconds === 0 || this.#kept.size === 0) return;
    this.#timer = this.#ports.runtime.timers.after(checkSeconds * 1000, () => {
      this.#check();
      this.#checkLater();
    });
  }

  /** Files are replaced one after the other, so that only what stays wrong is said, and once. */
  #check(): void {
    for (const { surface, outcome, reasons } of this.#reloadAll()) {
      const kept = this.#kept.get(surface)!;
      const fault = outcome === 'refused' ? reasons.join('; ') : '';
      if (fault !== '' && fault === kept.seenFault && fault !== kept.saidFault) {
        this.#warn(surface, reasons);
        kept.saidFault = fault;
      }
      if (fault === '') kept.saidFault = '';
      kept.seenFault = fault;
    }
  }

  #warn(surface: Surface, reasons: readonly string[]): void {
    this.#ports.log.warn('a certificate is not taken: new connections see the one from before', {
      listener: surface,
      reasons,
    });
  }
}

class Kept implements TlsSource {
  #current: TlsMaterial;
  readonly #takers = new Set<(material: TlsMaterial) => void>();
  /** What was wrong at the last check, and what of it the log has. */
  seenFault = '';
  saidFault = '';

  constructor(current: TlsMaterial) {
    this.#current = current;
  }

  current(): TlsMaterial {
    return this.#current;
  }

  onChange(take: (material: TlsMaterial) => void): () => void {
    this.#takers.add(take);
    return () => void this.#takers.delete(take);
  }

  /** Why it was not taken. Then all go on with the one from before. */
  replace(material: TlsMaterial): string | undefined {
    const before = this.#current;
    this.#current = material;
    try {
      for (const take of this.#takers) take(material);
      return undefined;
    } catch (error) {
      this.#current = before;
      return error instanceof Error ? error.message : String(error);
    }
  }
}

function isSame(a: TlsMaterial, b: TlsMaterial): boolean {
  return a.certificate === b.certificate && a.key === b.key && a.ca === b.ca;
}

function reasonsOf(surface: Surface, faults: readonly TlsFault[]): string[] {
  const written = (key: string): string => key.replace('File', '_file');
  return faults.map(({ key, found }) => `listen.${surface}.tls.${written(key)}: ${found}`);
}
