import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readTls, type TlsMaterial, type TlsSource } from '../../src/config/certificate.ts';

/** What certificates/generate.sh made: `ca` is the cluster's authority, `stranger` is of `other-ca`. */
export type CertificateName = 'server' | 'renewed' | 'member' | 'nameless' | 'stranger' | 'expired';

export function certificatePath(file: `${CertificateName | 'ca' | 'other-ca'}.pem`): string;
export function certificatePath(file: `${CertificateName}.key`): string;
export function certificatePath(file: string): string {
  return fileURLToPath(new URL(`certificates/${file}`, import.meta.url));
}

export function certificateText(name: CertificateName | 'ca' | 'other-ca'): string {
  return readFileSync(certificatePath(`${name}.pem`), 'utf8');
}

/** Absolute paths, as the configuration has them; `ca`: with which authority. */
export function tlsFiles(name: CertificateName, ca?: 'ca' | 'other-ca') {
  return {
    certificateFile: certificatePath(`${name}.pem`),
    keyFile: certificatePath(`${name}.key`),
    caFile: ca && certificatePath(`${ca}.pem`),
  };
}

/** A listener's certificate that a test replaces; expired ones are taken too. */
export interface TestSource extends TlsSource {
  replace(name: CertificateName, ca?: 'ca' | 'other-ca'): void;
  /** Handshakes that the listener said had failed. */
  failures(): number;
}

export function tlsSource(name: CertificateName, ca?: 'ca' | 'other-ca'): TestSource {
  let current = materialOf(name, ca);
  let failures = 0;
  const takers = new Set<(material: TlsMaterial) => void>();
  return {
    current: () => current,
    handshakeFailed: () => void (failures += 1),
    failures: () => failures,
    onChange(take) {
      takers.add(take);
      return () => void takers.delete(take);
    },
    replace(next, authority) {
      current = materialOf(next, authority);
      for (const take of takers) take(current);
    },
  };
}

function materialOf(name: CertificateName, ca?: 'ca' | 'other-ca'): TlsMaterial {
  const read = readTls(tlsFiles(name, ca), {
    readText: (path) => readFileSync(path, 'utf8'),
    nowMs: Date.UTC(name === 'expired' ? 2020 : 2026, 0, 1, 12),
    use: 'server',
  });
  if (!read.ok) throw new Error(JSON.stringify(read.faults));
  return read.material;
}
