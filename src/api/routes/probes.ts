import type { FastifyInstance } from 'fastify';
import type { ApiContext } from '../port.ts';

/** What orchestrators and Prometheus ask. The probes are open: they come by any name, without a token. */
export const PROBE_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

export function addProbeRoutes(server: FastifyInstance, { health, metrics }: ApiContext): void {
  server.get('/healthz', () => '{"status":"alive"}');

  server.get('/readyz', (_request, reply) => {
    const { ready, reasons, degraded } = health();
    void reply.code(ready ? 200 : 503);
    return JSON.stringify({ status: ready ? 'ready' : 'not ready', reasons, degraded });
  });

  server.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await metrics();
    void reply.type(contentType);
    return text;
  });
}
