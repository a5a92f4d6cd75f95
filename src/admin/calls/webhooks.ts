import { status } from '@grpc/grpc-js';
import type { Webhooks } from '../../webhooks/port.ts';
import { AdminError, invalid } from '../errors.ts';
import { readText } from '../request.ts';
import type * as wire from '../webhook-messages.ts';

const PAGE_DEFAULT = 50;
const PAGE_MAX = 1_000;
const IDS_MAX = 1_000;
const NAME_LENGTH_MAX = 64;
const ID_LENGTH_MAX = 160;

export async function webhooks(kept: Webhooks | undefined): Promise<wire.WebhooksReply> {
  const { self, endpoints } = { self: need(kept).self, endpoints: need(kept).endpoints() };
  return {
    node: self,
    endpoints: endpoints.map((one) => ({ ...one, oldestAgeMs: Math.round(one.oldestAgeMs) })),
  };
}

export async function deadLetters(
  kept: Webhooks | undefined,
  request: wire.DeadLettersRequest,
): Promise<wire.DeadLettersReply> {
  if (request.limit > PAGE_MAX) throw invalid('limit', `${request.limit}, at most ${PAGE_MAX}`);
  const limit = request.limit === 0 ? PAGE_DEFAULT : request.limit;
  const endpoint = readText(request.endpoint, 'endpoint', NAME_LENGTH_MAX);
  const after = readText(request.after, 'after', ID_LENGTH_MAX);
  const letters = found(await need(kept).dead(endpoint, after, limit), endpoint);
  return {
    letters: letters.map(({ id, type, atMs, deadAtMs, error }) => ({
      ...{ id, type, error, atMs: Math.floor(atMs), deadAtMs: Math.floor(deadAtMs) },
    })),
    next: letters.length < limit ? '' : letters.at(-1)!.id,
  };
}

export async function replayDeadLetters(
  kept: Webhooks | undefined,
  { endpoint, ids, all }: wire.ReplayDeadLettersRequest,
): Promise<wire.ReplayDeadLettersReply> {
  readText(endpoint, 'endpoint', NAME_LENGTH_MAX);
  if (ids.length > IDS_MAX) throw invalid('ids', `${ids.length} of them, at most ${IDS_MAX}`);
  // Without this a program whose list happened to be empty would send everything again.
  if (all === ids.length > 0) throw invalid('ids', 'expected some ids, or `all`, not both');
  return { replayed: found(await need(kept).replay(endpoint, ids), endpoint) };
}

function need(webhooks: Webhooks | undefined): Webhooks {
  if (webhooks) return webhooks;
  const message = 'this node has no receivers: webhooks.endpoints in cluster.yml is empty';
  throw new AdminError(status.FAILED_PRECONDITION, message);
}

function found<Value>(value: Value | undefined, endpoint: string): Value {
  if (value !== undefined) return value;
  const name = JSON.stringify(endpoint);
  const details = { field: 'endpoint' };
  throw new AdminError(status.NOT_FOUND, `endpoint: there is no receiver ${name}`, details);
}
