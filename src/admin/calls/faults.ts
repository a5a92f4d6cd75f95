import { status } from '@grpc/grpc-js';
import type { MemberId } from '../../core/ids.ts';
import { parseMemberId, parseUid } from '../../core/ids.ts';
import { FaultError, type Fault, type FaultInjector } from '../../faults/port.ts';
import { AdminError, invalid, take } from '../errors.ts';
import type { FaultReply, FaultRequest } from '../messages.ts';
import { readChannel } from '../request.ts';

export interface FaultOptions {
  /** Absent: fault injection is off. */
  readonly faults: FaultInjector | undefined;
  readonly member: MemberId;
}

const SECONDS = { max: 600, byDefault: 5 };
const DELAY_MS = { max: 60_000, byDefault: 1_000 };
const PERCENT = { max: 100, byDefault: 100 };

/** Throws FAILED_PRECONDITION where it is off, before anything of the request is read. */
export async function injectFault(
  { faults, member }: FaultOptions,
  request: FaultRequest,
): Promise<FaultReply> {
  if (!faults) {
    throw new AdminError(
      status.FAILED_PRECONDITION,
      `fault injection is off on ${member}: set audit.fault_injection: on in its cluster.yml`,
    );
  }
  const fault = readFault(request);
  try {
    return { member, kind: fault.kind, damage: await faults.inject(fault) };
  } catch (error) {
    if (!(error instanceof FaultError)) throw error;
    throw new AdminError(status.NOT_FOUND, `${fault.kind}: ${error.message}`, { cause: error });
  }
}

function readFault(request: FaultRequest): Fault {
  const kind = request.kind as Fault['kind'];
  const uid = () => take(parseUid(request.uid), 'uid');
  const member = () => take(parseMemberId(request.member), 'member');
  const seconds = () => within(request.seconds, 'seconds', SECONDS);
  switch (kind) {
    case 'delete-row':
    case 'alter-row':
    case 'corrupt-row':
    case 'insert-row':
      return { kind, channel: readChannel(request), uid: uid() };
    case 'drop-index-entry':
    case 'drop-topic':
      return { kind, channel: readChannel(request), uid: uid() };
    case 'drop-interest':
    case 'add-interest':
      return { kind, channel: readChannel(request), member: member() };
    case 'drop-deltas':
    case 'delay-deltas': {
      const percent = within(request.percent, 'percent', PERCENT);
      const delayMs = within(request.delayMs, 'delay_ms', DELAY_MS);
      return { kind, member: member(), percent, delayMs, seconds: seconds() };
    }
    case 'freeze-peer':
      return { kind, member: member(), seconds: seconds() };
    case 'lose-membership':
      return { kind, seconds: seconds() };
    default:
      kind satisfies never;
      throw invalid('kind', `${JSON.stringify(request.kind.slice(0, 40))} is no kind of fault`);
  }
}

function within(
  value: number,
  field: string,
  { max, byDefault }: { readonly max: number; readonly byDefault: number },
): number {
  if (value > max) throw invalid(field, `${value}, at most ${max}`);
  return value || byDefault;
}
