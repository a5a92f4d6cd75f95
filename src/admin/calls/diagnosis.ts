import { status, type ServerWritableStream } from '@grpc/grpc-js';
import type { Explainer, Pair } from '../../audit/explain/port.ts';
import type { ClusterLog, LogFilter } from '../../audit/operations/port.ts';
import type { Repairer } from '../../audit/repair/port.ts';
import type { Verifier } from '../../audit/verify/port.ts';
import { parseUid, PERSON } from '../../core/ids.ts';
import { personChannel } from '../../core/placement.ts';
import type * as wire from '../diagnosis-messages.ts';
import { AdminError, invalid, take } from '../errors.ts';
import { readChannel, readText } from '../request.ts';
import { writeWhenReady } from '../streams.ts';
import { toExplanation, toLogLine, toRepairReply, toVerifyState } from './diagnosis-view.ts';

/** What a node can say about the whole cluster; absent in a server that has none. */
export interface DiagnosisCalls {
  readonly explainer: Explainer;
  readonly repairer: Repairer;
  readonly verifier: Verifier;
  readonly log: { query(filter: LogFilter): Promise<ClusterLog> };
}

const LOG_LINES = 100;
const LOG_LINES_MAX = 1_000;
/** A repair reads rows of every member: a few at once are enough for people and scripts. */
const REPAIRS_MAX = 16;

export class DiagnosisService {
  readonly #calls: DiagnosisCalls | undefined;
  #repairs = 0;

  constructor(calls: DiagnosisCalls | undefined) {
    this.#calls = calls;
  }

  async explain(request: wire.PairRequest): Promise<wire.Explanation> {
    return toExplanation(await this.#need().explainer.explain(readPair(request)));
  }

  async repair(request: wire.PairRequest): Promise<wire.RepairReply> {
    const pair = readPair(request);
    if (this.#repairs >= REPAIRS_MAX) {
      throw new AdminError(status.RESOURCE_EXHAUSTED, `${REPAIRS_MAX} repairs run on this node`);
    }
    this.#repairs += 1;
    try {
      return toRepairReply(await this.#need().repairer.repair(pair));
    } finally {
      this.#repairs -= 1;
    }
  }

  async verify(
    call: ServerWritableStream<object, wire.VerifyState>,
    signal: AbortSignal,
  ): Promise<void> {
    for await (const progress of this.#need().verifier.verify(signal)) {
      if (signal.aborted) return;
      await writeWhenReady(call, toVerifyState(progress), signal);
    }
  }

  async log(request: wire.OperationLogRequest): Promise<wire.OperationLogReply> {
    const { limit, sinceMs } = request;
    if (limit > LOG_LINES_MAX) throw invalid('limit', `${limit}, at most ${LOG_LINES_MAX}`);
    if (sinceMs < 0) throw invalid('since_ms', `${sinceMs} is negative`);
    const names = { id: 'channel.channel_id', type: 'channel.channel_type' };
    const { entries, silent } = await this.#need().log.query({
      uid: request.uid === '' ? undefined : take(parseUid(request.uid), 'uid'),
      channel: request.channel ? readChannel(request.channel, names) : undefined,
      cause: readText(request.cause, 'cause', 64) || undefined,
      sinceMs: sinceMs || undefined,
      limit: limit || LOG_LINES,
    });
    return { lines: entries.map(toLogLine), silent };
  }

  #need(): DiagnosisCalls {
    if (this.#calls) return this.#calls;
    throw new AdminError(status.UNIMPLEMENTED, 'this node cannot diagnose');
  }
}

/** A person channel may be named by the other user alone. */
function readPair(request: wire.PairRequest): Pair {
  const uid = take(parseUid(request.uid), 'uid');
  if (request.channelType !== PERSON || request.channelId.includes('@')) {
    return { uid, channel: readChannel(request) };
  }
  return { uid, channel: personChannel(uid, take(parseUid(request.channelId), 'channel_id')) };
}
