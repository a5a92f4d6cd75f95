import type { Canary } from '../audit/canary.ts';
import type { ClientGateway } from '../gateway/gateway.ts';
import type { Ground } from './adapters.ts';
import type { ListenAddress } from '../config/config.ts';
import type { NodeCore } from './core.ts';
import { ProbeSocket } from './probe-socket.ts';
import { createCanary, probeChannel } from './upkeep/probes.ts';

export interface Probing {
  readonly canary: Canary;
  stop(): void;
}

/** The node's canary, on a connection of its own to the client port, as any client has one. */
export function probe(
  { config, self, runtime }: Ground,
  { core, gateway }: { readonly core: NodeCore; readonly gateway: ClientGateway },
  port: number,
): Probing {
  const pace = config.audit.profile === 'fast' ? 5 : 1;
  const canary = createCanary(pace, core.probes, (peer, detail) =>
    core.repairs.pathBroke(peer, { detail, wallMs: runtime.clock.wallMs() }),
  );
  const secret = `probe ${Buffer.from(runtime.random.bytes(32)).toString('hex')}`;
  gateway.expectProbe(probeChannel(self.id), secret);
  const socket = new ProbeSocket({
    ...{ secret, runtime, isTaken: () => gateway.takesConnections },
    url: clientUrl(config.listen.client, port),
    host: config.gateway.hostsAllowed[0],
    onProbe: (text) => canary.onProbe(text),
  });
  canary.start();
  return {
    canary,
    stop() {
      canary.stop();
      socket.stop();
    },
  };
}

/**
 * Where the node reaches its own client port. Its certificate names the hosts that others know, and is
 * not checked on this way, which does not leave the node.
 */
export function clientUrl({ host, tls }: ListenAddress, port: number): string {
  return `${tls ? 'wss' : 'ws'}://${reachable(host)}:${port}`;
}

/** Where this machine reaches what is bound there. */
export function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}
