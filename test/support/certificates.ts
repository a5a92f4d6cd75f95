import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

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
