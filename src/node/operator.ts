import { isLoopback } from '../admin/access.ts';
import { OperatorCalls } from '../admin/operator.ts';
import type { ClusterInfo } from '../admin/port.ts';
import type { OperatorPort } from '../api/operator-port.ts';
import type { Ground } from './adapters.ts';
import type { SurfaceParts } from './surfaces.ts';

/** What the operator's page does: the calls of the admin service, with its tokens, on the HTTP port. */
export function createOperator(
  ground: Ground,
  { core, listeners, reloads, health }: SurfaceParts,
  cluster: ClusterInfo,
): OperatorPort {
  const { secrets, log, runtime } = ground;
  const { diagnosis, connections } = core;
  const calls = new OperatorCalls({
    ...{ cluster, diagnosis, connections, listeners, reloads, health },
    log: log.child({ room: 'admin' }),
  });
  return {
    tokens: secrets.adminTokens,
    get openWithoutToken() {
      return isLoopback(ground.config.listen.http.host);
    },
    nowMs: () => runtime.clock.wallMs(),
    answer: (name, request) => calls.answer(name, request),
  };
}
