import type { Metrics } from '../../observability/metrics.ts';
import type { Certificates } from '../certificates.ts';

/** Those whose library tells of a handshake that failed: neither uWS nor the gRPC server does. */
const TOLD = ['client', 'http', 'onebot'] as const;

/** For how long the certificates that are in use are valid still; no sample where there is no TLS. */
export function wireCertificates(
  metrics: Metrics,
  certificates: Certificates,
  wallMs: () => number,
) {
  metrics.readGauge('holdfast_certificate_expires_seconds', () =>
    certificates.expiries().map(({ surface, expiresMs }) => ({
      labels: { listener: surface },
      value: (expiresMs - wallMs()) / 1000,
    })),
  );
  for (const listener of TOLD) {
    metrics.readCounter('holdfast_tls_handshakes_failed_total', { listener }, () =>
      certificates.handshakesFailed(listener),
    );
  }
}
