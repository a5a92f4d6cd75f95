import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** Absolute paths of PEM files. */
export interface TlsFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Whoever connects has to show a certificate of one of these authorities. */
  readonly caFile: string | undefined;
}

/** Some of them may not be said. */
export type TlsFilesGiven = { readonly [Key in keyof TlsFiles]: string | undefined };

/** What the files said when all of it was right. Never logged. */
export interface TlsMaterial {
  /** Where it was read, because uWebSockets.js takes no texts. */
  readonly files: TlsFiles;
  readonly certificate: string;
  readonly key: string;
  readonly ca: string | undefined;
  /** SHA-256 of the certificate, in hex with colons; no secret. */
  readonly fingerprint: string;
  /** Wall clock. */
  readonly expiresMs: number;
}

export interface TlsFault {
  readonly key: 'certificateFile' | 'keyFile' | 'caFile';
  readonly found: string;
  readonly allowed: string;
}

export type TlsRead =
  | { readonly ok: true; readonly material: TlsMaterial }
  | { readonly ok: false; readonly faults: readonly TlsFault[] };

export interface TlsReading {
  /** Throws an Error with `code` as node:fs does. */
  readonly readText: (path: string) => string;
  readonly nowMs: number;
  /** Peers are server and client with one certificate, and it has to be of their own authority. */
  readonly use: 'server' | 'peer';
}

const ALLOWED = {
  certificateFile:
    'a PEM file with the certificate, and after it those between it and its authority',
  keyFile: 'a PEM file with the private key of the certificate, without a passphrase',
  caFile: 'a PEM file with the certificates of the authorities',
} as const;
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
const CHAIN_MAX = 16;
const SERVER_AND_CLIENT = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'];

/** Reads the files of one listener and says all that is wrong with them at once. */
export function readTls(files: TlsFiles, reading: TlsReading): TlsRead {
  return new Reader(files, reading).read();
}

/** What is wrong with those files that are given; that others are missing is no fault here. */
export function faultsOfGiven(files: TlsFilesGiven, reading: TlsReading): readonly TlsFault[] {
  const read = new Reader(files, reading).read();
  return read.ok ? [] : read.faults;
}

class Reader {
  readonly #files: TlsFilesGiven;
  readonly #reading: TlsReading;
  readonly #faults: TlsFault[] = [];

  constructor(files: TlsFilesGiven, reading: TlsReading) {
    this.#files = files;
    this.#reading = reading;
  }

  read(): TlsRead {
    const { certificateFile, keyFile, caFile } = this.#files;
    const certificate = this.#text('certificateFile', certificateFile);
    const key = this.#text('keyFile', keyFile);
    const ca = this.#text('caFile', caFile);
    const chain = this.#certificates('certificateFile', certificate);
    const authorities = this.#certificates('caFile', ca);
    const leaf = chain[0];
    const privateKey = this.#privateKey(key);
    if (leaf) this.#checkDates('certificateFile', leaf);
    if (authorities.length > 0 && authorities.every((each) => !this.#isInDate(each))) {
      this.#checkDates('caFile', authorities[0]!);
    }
    if (leaf && privateKey && !leaf.checkPrivateKey(privateKey)) {
      this.#fault('keyFile', 'the key of another certificate');
    }
    if (leaf && this.#reading.use === 'peer') this.#checkPeer(chain, authorities);
    if (certificate !== undefined && key !== undefined && this.#faults.length === 0) {
      this.#checkWhole({ certificate, key, ca });
    }
    const isWhole = certificateFile !== undefined && keyFile !== undefined;
    if (this.#faults.length > 0 || !leaf || !isWhole) return { ok: false, faults: this.#faults };
    return {
      ok: true,
      material: {
        ...{
          files: { certificateFile, keyFile, caFile },
          certificate: certificate!,
          key: key!,
          ca,
        },
        fingerprint: leaf.fingerprint256,
        expiresMs: Date.parse(leaf.validTo),
      },
    };
  }

  #fault(key: TlsFault['key'], found: string, allowed: string = ALLOWED[key]): void {
    this.#faults.push({ key, found, allowed });
  }

  #text(key: TlsFault['key'], path: string | undefined): string | undefined {
    if (path === undefined) return undefined;
    try {
      return this.#reading.readText(path);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
      this.#fault(key, `${path}, which cannot be read (${code})`);
      return undefined;
    }
  }

  #certificates(key: 'certificateFile' | 'caFile', text: string | undefined): X509Certificate[] {
    if (text === undefined) return [];
    const blocks = text.match(PEM_CERTIFICATE) ?? [];
    if (blocks.length === 0 || blocks.length > CHAIN_MAX) {
      this.#fault(key, `${blocks.length} certificates`, `${ALLOWED[key]}, 1 to ${CHAIN_MAX}`);
      return [];
    }
    try {
      return blocks.map((block) => new X509Certificate(block));
    } catch {
      this.#fault(key, 'a certificate that cannot be read');
      return [];
    }
  }

  /** What was wrong is not repeated: it could hold a part of the key. */
  #privateKey(text: string | undefined): KeyObject | undefined {
    if (text === undefined) return undefined;
    try {
      return createPrivateKey(text);
    } catch {
      const locked = text.includes('ENCRYPTED');
      this.#fault('keyFile', locked ? 'a key with a passphrase' : 'no private key');
      return undefined;
    }
  }

  #isInDate({ validFrom, validTo }: X509Certificate): boolean {
    const { nowMs } = this.#reading;
    return Date.parse(validFrom) <= nowMs && nowMs < Date.parse(validTo);
  }

  #checkDates(key: TlsFault['key'], certificate: X509Certificate): void {
    if (this.#isInDate(certificate)) return;
    const { validFrom, validTo } = certificate;
    const expired = Date.parse(validTo) <= this.#reading.nowMs;
    const found = expired
      ? `a certificate that expired on ${validTo}`
      : `a certificate that is valid from ${validFrom} on`;
    this.#fault(key, found, 'a certificate that is valid now');
  }

  #checkPeer(chain: readonly X509Certificate[], authorities: readonly X509Certificate[]): void {
    if (authorities.length > 0 && !isOf(chain, authorities)) {
      const allowed = 'a certificate of an authority in ca_file: the other members take no other';
      this.#fault('certificateFile', 'a certificate of another authority', allowed);
    }
    // Absent: for any purpose.
    const purposes = chain[0]!.keyUsage as readonly string[] | undefined;
    if (purposes && SERVER_AND_CLIENT.some((purpose) => !purposes.includes(purpose))) {
      const allowed =
        'one for both, extendedKeyUsage = serverAuth, clientAuth: members call each other';
      this.#fault('certificateFile', 'a certificate for servers or for clients alone', allowed);
    }
  }

  /** What only OpenSSL knows, as a key that is too short for its security level. */
  #checkWhole({ certificate, key, ca }: Pick<TlsMaterial, 'certificate' | 'key' | 'ca'>): void {
    try {
      createSecureContext({ cert: certificate, key, ...(ca === undefined ? {} : { ca }) });
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
      this.#fault('certificateFile', `what TLS refuses (${code})`);
    }
  }
}

/** Follows the issuers from the first certificate through the others to an authority. */
function isOf(
  [leaf, ...between]: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): boolean {
  let last = leaf;
  const rest = [...between];
  while (last) {
    const subject: X509Certificate = last;
    const signedBy = (issuer: X509Certificate): boolean =>
      subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
    if (authorities.some(signedBy)) return true;
    const next = rest.findIndex(signedBy);
    last = next < 0 ? undefined : rest.splice(next, 1)[0];
  }
  return false;
}

/** The certificate of one listener as it is now; it may be another one later. */
export interface TlsSource {
  current(): TlsMaterial;
  /**
   * For new connections, from then on; open ones keep what they have. What throws says that it stays with
   * what it has. Returns the way to be told no more.
   */
  onChange(take: (material: TlsMaterial) => void): () => void;
  /** To be told of each connection that came to no agreement: it is counted. */
  handshakeFailed?(): void;
}
