import { status, type ServerDuplexStream } from '@grpc/grpc-js';
import { formatDot } from '../../core/dot.ts';
import type { ChannelKey, Uid } from '../../core/ids.ts';
import type { Outcome } from '../../core/reason-code.ts';
import type { Services, SubscriptionResult, WaitFor } from '../../messaging/port.ts';
import { AdminError, invalid, refusalError, toStatus } from '../errors.ts';
import type { BulkError, BulkReply, BulkRequest } from '../messages.ts';
import type { AdminLimits } from '../port.ts';
import { readChannel, readUids, readWaitFor, waitForName } from '../request.ts';
import { writeWhenReady } from '../streams.ts';

export interface BulkOptions {
  readonly services: Pick<Services, 'subscriptions'>;
  readonly limits: AdminLimits;
  readonly onDefect: (error: unknown) => void;
}

type BulkCall = ServerDuplexStream<BulkRequest, BulkReply>;

/**
 * Serves one SubscribeBulk stream. A batch holds its slot until its reply has been taken by the transport,
 * so a client that does not read its replies stops being read from: nothing queues beyond the slots.
 */
export function serveBulk(
  options: BulkOptions,
  call: BulkCall,
  signal: AbortSignal,
): Promise<void> {
  const { batchesInFlightMax } = options.limits;
  let inFlight = 0;
  let ended = false;
  return new Promise((resolve) => {
    const finishIfDone = (): void => {
      if (signal.aborted || (ended && inFlight === 0)) resolve();
    };
    const serve = async (batch: BulkRequest): Promise<void> => {
      const reply = await answerBatch(options, batch);
      await writeWhenReady(call, reply, signal);
      inFlight--;
      if (!signal.aborted) call.resume();
      finishIfDone();
    };
    call.on('data', (batch: BulkRequest) => {
      if (signal.aborted) return;
      if (++inFlight >= batchesInFlightMax) call.pause();
      void serve(batch);
    });
    call.on('end', () => {
      ended = true;
      finishIfDone();
    });
    signal.addEventListener('abort', finishIfDone);
    finishIfDone();
  });
}

/** Never throws: what goes wrong is in the reply. */
export async function answerBatch(options: BulkOptions, batch: BulkRequest): Promise<BulkReply> {
  try {
    return await applyBatch(options, batch);
  } catch (error) {
    if (!(error instanceof AdminError)) options.onDefect(error);
    return { ...emptyReply(batch.batchId), error: toBulkError(error) };
  }
}

async function applyBatch(
  { services, limits }: BulkOptions,
  batch: BulkRequest,
): Promise<BulkReply> {
  const action = readAction(batch);
  const waitFor = readWaitFor(batch.waitFor);
  const groups = groupByChannel(batch, limits.batchPairsMax);
  const request = { channels: groups, cause: 'admin', waitFor } as const;
  const outcomes = await services.subscriptions[action](request);
  return joinOutcomes(batch, groups, outcomes);
}

function readAction({ action }: BulkRequest): 'subscribeMany' | 'unsubscribeMany' {
  if (action === 'BULK_ACTION_SUBSCRIBE') return 'subscribeMany';
  if (action === 'BULK_ACTION_UNSUBSCRIBE') return 'unsubscribeMany';
  throw invalid('action', 'expected BULK_ACTION_SUBSCRIBE or BULK_ACTION_UNSUBSCRIBE');
}

interface Group {
  readonly channel: ChannelKey;
  readonly uids: Uid[];
  /** Where in the batch each uid stands. */
  readonly positions: number[];
}

/** The services answer by channel, so pairs of one channel go together. About 0.3 µs a pair. */
function groupByChannel(batch: BulkRequest, pairsMax: number): readonly Group[] {
  const { channelIds, channelTypes } = batch;
  const uids = readUids(batch.uids, pairsMax);
  checkColumn('channel_ids', channelIds.length, uids.length);
  checkColumn('channel_types', channelTypes.length, uids.length);
  const [oneId, oneType] = [channelIds.length === 1, channelTypes.length === 1];
  const groups = new Map<string, Group>();
  let [lastId, lastType] = ['', -1];
  let group: Group | undefined;
  for (let i = 0; i < uids.length; i++) {
    const channelId = channelIds[oneId ? 0 : i]!;
    const channelType = channelTypes[oneType ? 0 : i]!;
    if (!group || channelId !== lastId || channelType !== lastType) {
      [lastId, lastType] = [channelId, channelType];
      group = groups.get(`${channelType}/${channelId}`);
      if (!group) {
        const names = {
          id: `channel_ids[${oneId ? 0 : i}]`,
          type: `channel_types[${oneType ? 0 : i}]`,
        };
        const channel = readChannel({ channelId, channelType }, names);
        groups.set(channel, (group = { channel, uids: [], positions: [] }));
      }
    }
    group.uids.push(uids[i]!);
    group.positions.push(i);
  }
  return [...groups.values()];
}

function checkColumn(field: string, found: number, pairs: number): void {
  if (found === pairs || found === 1) return;
  throw invalid(field, `${found} entries for ${pairs} uids, expected as many or exactly one`);
}

function joinOutcomes(
  batch: BulkRequest,
  groups: readonly Group[],
  outcomes: readonly Outcome<SubscriptionResult>[],
): BulkReply {
  const receipts = batch.wantReceipts ? batch.uids.map(() => '') : [];
  const missing = new Set<string>();
  let applied = 0;
  let reached: WaitFor = 'all';
  let error: BulkError | null = null;
  for (const [index, outcome] of outcomes.entries()) {
    const { uids, positions } = groups[index]!;
    if (!outcome.ok) {
      error ??= toBulkError(refusalError(outcome));
      continue;
    }
    applied += uids.length;
    reached = lesser(reached, outcome.value.reached);
    for (const member of outcome.value.missing) missing.add(member);
    if (!batch.wantReceipts) continue;
    for (const [at, dot] of outcome.value.receipts.entries()) {
      receipts[positions[at]!] = formatDot(dot);
    }
  }
  return {
    batchId: batch.batchId,
    applied,
    receipts,
    reached: applied > 0 ? waitForName(reached) : 'WAIT_FOR_UNSPECIFIED',
    missing: [...missing].sort(),
    error,
  };
}

const ORDER: readonly WaitFor[] = ['local', 'quorum', 'all'];
function lesser(a: WaitFor, b: WaitFor): WaitFor {
  return ORDER.indexOf(a) < ORDER.indexOf(b) ? a : b;
}

function emptyReply(batchId: number): Omit<BulkReply, 'error'> {
  return { batchId, applied: 0, receipts: [], reached: 'WAIT_FOR_UNSPECIFIED', missing: [] };
}

function toBulkError(error: unknown): BulkError {
  const { code, details } = toStatus(error);
  if (error instanceof AdminError) {
    return { status: code, message: details, field: error.field, reason: error.reason };
  }
  return { status: status.INTERNAL, message: details, field: '', reason: 0 };
}
