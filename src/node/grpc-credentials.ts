import { checkServerIdentity, createSecureContext, type PeerCertificate } from 'node:tls';
import { credentials, ServerCredentials, type ChannelCredentials } from '@grpc/grpc-js';
import type { TlsMaterial, TlsSource } from '../config/certificate.ts';
import type { Member } from '../core/member.ts';

/** What a gRPC server shows; with an authority in the files callers have to show a certificate too. */
export function serverCredentials(source: TlsSource): ServerCredentials {
  const made = MADE.get(source) ?? new LiveCredentials(source);
  MADE.set(source, made);
  return made;
}

/** One for each listener, however often its node is rebuilt. */
const MADE = new WeakMap<TlsSource, LiveCredentials>();

/**
 * For calls to a member: its certificate has to be of the authority, and to name the host of its peer
 * address or its id. An authority for the cluster alone needs no list of addresses in that way, and one
 * that signs for others too makes nobody else a member.
 */
export function credentialsTo(source: TlsSource, { id, peerAddress }: Member): ChannelCredentials {
  const host = peerAddress.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return credentials.createFromSecureContext(createSecureContext(contextOf(source.current())), {
    checkServerIdentity(_name: string, certificate: PeerCertificate) {
      const wrong = checkServerIdentity(host, certificate);
      return wrong && checkServerIdentity(id, certificate) ? wrong : undefined;
    },
  });
}

/** gRPC's own are for one certificate, or for providers that are experimental. */
class LiveCredentials extends ServerCredentials {
  constructor(source: TlsSource) {
    const requestCert = source.current().ca !== undefined;
    super({ requestCert, rejectUnauthorized: requestCert }, contextOf(source.current()));
    source.onChange((material) => this.updateSecureContextOptions(contextOf(material)));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function contextOf({ certificate, key, ca }: TlsMaterial) {
  return {
    cert: certificate,
    key,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca }),
  } as const;
}
