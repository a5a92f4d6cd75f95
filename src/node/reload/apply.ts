import { isLoopback } from '../../admin/access.ts';
import type { AdminServer } from '../../admin/server.ts';
import type { ConfigChange } from '../../config/reload-port.ts';
import type { HttpApi } from '../../api/http-server.ts';
import { withChanges } from '../../config/compare.ts';
import type { Config } from '../../config/config.ts';
import type { ListenerName, Listeners } from '../../connections/listener-port.ts';
import { gatewayRules, type Ground } from '../adapters.ts';
import type { ListeningParts } from '../listeners.ts';
import { probe } from '../probing.ts';
import type { LiveConfig } from './live-config.ts';
import { rebindAll, type AddressChange } from './rebinding.ts';

/** What of a running node takes a changed configuration. */
export interface ReloadParts extends ListeningParts {
  http?: HttpApi;
  admin?: AdminServer;
}

export interface ApplyGround {
  readonly ground: Ground;
  readonly live: LiveConfig;
  readonly listeners: Listeners;
}

export type Applied =
  | { readonly ok: true; readonly ended: number }
  | { readonly ok: false; readonly errors: readonly string[] };

const RETRY_AFTER_SECONDS = 5;
const UNPROVEN = 'this node asks for a token now';

/** Applies those of `changes` that are live, all or none. */
export async function applyChanges(
  { ground, live, listeners }: ApplyGround,
  parts: ReloadParts,
  { next, changes }: { readonly next: Config; readonly changes: readonly ConfigChange[] },
): Promise<Applied> {
  const paths = new Set(changes.filter(({ live: isLive }) => isLive).map(({ path }) => path));
  const before = live.current();
  const target = withChanges(before, next, paths);
  // What keeps strangers out has to be there before an address is bound that they can reach.
  const secretsBefore = ground.secrets.keep();
  ground.secrets.take(target);
  const { auth } = target.gateway;
  if (auth === 'token') parts.gateway.setRules({ ...gatewayRules(before), auth });
  if (!isLoopback(target.listen.http.host)) live.take(target);
  const rebound = await rebindAll(addressChanges(parts, before, target));
  if (!rebound.ok) {
    secretsBefore();
    live.take(before);
    parts.gateway.setRules(gatewayRules(before));
    return rebound;
  }
  live.take(target);
  const { client: clientPort, http: httpPort } = Object.fromEntries(rebound.ports);
  if (clientPort !== undefined) parts.clientPort = clientPort;
  if (httpPort !== undefined) parts.httpPort = httpPort;
  const errors = takeRules(ground, parts, { before, live });
  if (rebound.ports.has('client') || paths.has('gateway.hosts_allowed')) probeAnew(ground, parts);
  let ended = parts.admin?.endUnproven() ?? 0;
  if (before.gateway.auth === 'none' && live.current().gateway.auth === 'token') {
    ended += parts.gateway.endUnproven(UNPROVEN);
  }
  for (const name of ['client', 'http'] as const) {
    if (paths.has(`listen.${name}.enabled`)) await toggle(listeners, name, target);
  }
  return errors.length > 0 ? { ok: false, errors } : { ok: true, ended };
}

function addressChanges(
  { gateway, http, admin }: ReloadParts,
  before: Config,
  after: Config,
): AddressChange[] {
  const listeners = { client: gateway, http, admin };
  return (['client', 'http', 'admin'] as const).flatMap((name) => {
    const [from, to, listener] = [before.listen[name], after.listen[name], listeners[name]];
    const isSame = from.host === to.host && from.port === to.port;
    return isSame || !listener ? [] : [{ name, from, to, listener }];
  });
}

/** What is wrong; then the rules of the client port are those of before. */
function takeRules(
  ground: Ground,
  { gateway, http }: ReloadParts,
  { before, live }: { readonly before: Config; readonly live: LiveConfig },
): readonly string[] {
  const target = live.current();
  http?.setNames({
    hostsAllowed: target.http.hostsAllowed,
    originsAllowed: target.gateway.originsAllowed,
  });
  if (JSON.stringify(before.gateway) === JSON.stringify(target.gateway)) return [];
  try {
    gateway.setRules(gatewayRules(target));
    return [];
  } catch (error) {
    live.take({ ...target, gateway: before.gateway });
    ground.log.error('the rules of the client port could not be changed', { error });
    return [`gateway: ${String(error)}; its keys are as they were, all others are applied`];
  }
}

/** The node's own client has the address and the name of before. */
function probeAnew(ground: Ground, parts: ReloadParts): void {
  if (!parts.probing) return;
  parts.probing.stop();
  parts.probing = probe(ground, parts, parts.clientPort ?? ground.config.listen.client.port);
}

/** Only where the file says something else than before: what an operator did meanwhile stays. */
async function toggle(listeners: Listeners, name: ListenerName, target: Config): Promise<void> {
  if (target.listen[name].enabled === false) await listeners.disable(name, RETRY_AFTER_SECONDS);
  else await listeners.enable(name);
}
