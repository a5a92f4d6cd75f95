import { isLoopback } from '../admin/access.ts';
import { OperatorCalls } from '../admin/operator.ts';
import type { ClusterInfo } from '../admin/port.ts';
import type { OperatorPort } from '../api/operator-port.ts';
import type { Ground } from './adapters.ts';
import type { SurfaceParts } from './surfaces.ts';

/** What the operator's page does: the calls of the admin service, with its tokens, on the HTTP port. */
export function createOperator(
  { config, secrets, log, runtime }: Ground,
  { core, listeners, health }: SurfaceParts,
  cluster: ClusterInfo,
): OperatorPort {
  const { diagnosis, connections } = core;
  const calls = new OperatorCalls({
    ...{ cluster, diagnosis, connections, listeners, health },
    log: log.child({ room: 'admin' }),
  });
  return {
    tokens: secrets.adminTokens,
    openWithoutToken: isLoopback(config.listen.http.host),
    nowMs: () => runtime.clock.wallMs(),
    answer: (name, request) => calls.answer(name, request),
  };
}
