import { status } from '@grpc/grpc-js';
import type { MemberId } from '../../core/ids.ts';
import type { Retention } from '../../messaging/retention/port.ts';
import { AdminError } from '../errors.ts';
import { readChannel } from '../request.ts';
import type * as wire from '../retention-messages.ts';

/** One channel type of each rule. */
const TYPES = [
  ['person', 1],
  ['group', 2],
  ['other', 3],
] as const;

export async function retention(
  { retention: kept, nodeId }: { retention: Retention | undefined; nodeId: MemberId },
  request: wire.RetentionRequest,
): Promise<wire.RetentionReply> {
  if (!kept) throw new AdminError(status.UNIMPLEMENTED, 'this node cuts nothing');
  const floor = request.channelId === '' ? undefined : kept.floorOf(readChannel(request));
  return {
    node: nodeId,
    rules: TYPES.map(([types, type]) => ({ types, ...kept.ruleOf(type) })),
    ...kept.state(),
    floor: floor ? { ...floor, atMs: Math.floor(floor.atMs) } : null,
  };
}
