import {
  Client,
  credentials as grpcCredentials,
  Metadata,
  status,
  type ChannelCredentials,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { systemRuntime } from '../runtime/system.ts';
import type * as kept from './connection-messages.ts';
import type * as diagnosis from './diagnosis-messages.ts';
import { ORIGIN_TRAILER } from './errors.ts';
import type * as listening from './listener-messages.ts';
import type { ReloadReply } from './reload-messages.ts';
import type * as wire from './messages.ts';
import type * as moderation from './moderation-messages.ts';
import type * as past from './past-messages.ts';
import type * as rules from './retention-messages.ts';
import type * as hooks from './webhook-messages.ts';
import { loadAdminProto } from './proto.ts';

export interface AdminClientOptions {
  /** host:port. */
  readonly address: string;
  readonly token?: string | undefined;
  /** For each unary call, and for lists as a whole. Milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Plain text where absent. */
  readonly credentials?: ChannelCredentials | undefined;
  /** What TLS says and checks as the server's name instead of the host of `address`. */
  readonly serverName?: string | undefined;
}

/** A call that failed. `unreachable`: the node did not answer; otherwise it refused, and says why. */
export class AdminCallError extends Error {
  override readonly name = 'AdminCallError';
  readonly code: string;
  readonly unreachable: boolean;
  /** The request field at fault, empty where there is none. */
  readonly field: string;
  /** The reason code that clients see, 0 for none. */
  readonly reason: number;

  constructor(cause: ServiceError, address: string) {
    const fromNode = cause.metadata?.get(ORIGIN_TRAILER).length > 0;
    const silent = cause.code === status.UNAVAILABLE || cause.code === status.DEADLINE_EXCEEDED;
    const unreachable = silent && !fromNode;
    super(unreachable ? describeSilence(cause, address) : cause.details, { cause });
    this.code = status[cause.code];
    this.unreachable = unreachable;
    this.field = String(cause.metadata?.get('holdfast-field')[0] ?? '');
    this.reason = Number(cause.metadata?.get('holdfast-reason')[0] ?? 0);
  }
}

/** In the words of the system, without gRPC's frame around them. */
function describeSilence({ code, details }: ServiceError, address: string): string {
  if (code === status.DEADLINE_EXCEEDED) {
    return `no answer from ${address} in time: is it the admin address of a node?`;
  }
  const said = details
    .replace(/^No connection established\. Last error: (?:Error: )?/, '')
    .replace(/\. Resolution note: $/, '');
  return `no answer from ${address}: ${said}`;
}

export type BulkStream = ClientDuplexStream<Partial<wire.BulkRequest>, wire.BulkReply>;
/** Fields left out take the defaults of proto3. */
type Ask<Request> = Partial<Request>;

const TIMEOUT_MS = 10_000;

/** The admin service of one node. Connects at the first call and again after every loss. */
export class AdminClient {
  readonly address: string;
  readonly #client: Client;
  readonly #metadata = new Metadata();
  readonly #timeoutMs: number;
  readonly #service = loadAdminProto().service;

  constructor(options: AdminClientOptions) {
    this.address = options.address;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    if (options.token) this.#metadata.set('authorization', `Bearer ${options.token}`);
    const credentials = options.credentials ?? grpcCredentials.createInsecure();
    // A node that was restarted is found again soon: the default backoff goes up to two minutes.
    this.#client = new Client(options.address, credentials, {
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
      // Tests and tools hold several clients with different tokens to one address.
      'grpc.use_local_subchannel_pool': 1,
      ...(options.serverName === undefined
        ? {}
        : { 'grpc.ssl_target_name_override': options.serverName }),
    });
  }

  subscribe(request: Ask<wire.SubscribeRequest>): Promise<wire.SubscriptionReply> {
    return this.#unary('Subscribe', request);
  }

  unsubscribe(request: Ask<wire.UnsubscribeRequest>): Promise<wire.SubscriptionReply> {
    return this.#unary('Unsubscribe', request);
  }

  digest(): Promise<wire.DigestReply> {
    return this.#unary('Digest', {});
  }

  publish(request: Ask<wire.PublishRequest>): Promise<wire.PublishReply> {
    return this.#unary('Publish', request);
  }

  kickSession(request: Ask<wire.KickSessionRequest>): Promise<wire.KickSessionReply> {
    return this.#unary('KickSession', request);
  }

  members(): Promise<wire.MembersReply> {
    return this.#unary('Members', {});
  }

  listSubscriptions(
    request: Ask<wire.ListSubscriptionsRequest> = {},
  ): AsyncGenerator<wire.SubscriptionPage> {
    return this.#read('ListSubscriptions', request, { deadline: this.#deadline() });
  }

  sessions(request: Ask<wire.SessionsRequest> = {}): AsyncGenerator<wire.Session> {
    return this.#read('Sessions', request, { deadline: this.#deadline() });
  }

  explain(request: Ask<diagnosis.PairRequest>): Promise<diagnosis.Explanation> {
    return this.#unary('Explain', request);
  }

  repair(request: Ask<diagnosis.PairRequest>): Promise<diagnosis.RepairReply> {
    return this.#unary('Repair', request);
  }

  connections(request: Ask<kept.ConnectionsRequest> = {}): Promise<kept.ConnectionsReply> {
    return this.#unary('Connections', request);
  }

  connection(request: Ask<kept.ConnectionRequest>): Promise<kept.ConnectionInfo> {
    return this.#unary('Connection', request);
  }

  createConnection(request: Ask<kept.CreateConnectionRequest>): Promise<kept.ConnectionInfo> {
    return this.#unary('CreateConnection', request);
  }

  actOnConnection(request: Ask<kept.ActOnConnectionRequest>): Promise<kept.ConnectionInfo> {
    return this.#unary('ActOnConnection', request);
  }

  confirmPairing(request: Ask<kept.ConfirmPairingRequest>): Promise<kept.ConnectionInfo> {
    return this.#unary('ConfirmPairing', request);
  }

  reportConnection(request: Ask<kept.ReportConnectionRequest>): Promise<kept.ConnectionInfo> {
    return this.#unary('ReportConnection', request);
  }

  rollbackConnection(request: Ask<kept.RollbackConnectionRequest>): Promise<kept.ConnectionInfo> {
    return this.#unary('RollbackConnection', request);
  }

  history(request: Ask<past.HistoryRequest>): Promise<past.HistoryReply> {
    return this.#unary('History', request);
  }

  recall(request: Ask<past.RecallRequest>): Promise<past.RecallReply> {
    return this.#unary('Recall', request);
  }

  conversations(request: Ask<past.ConversationsRequest>): Promise<past.ConversationsReply> {
    return this.#unary('Conversations', request);
  }

  retention(request: Ask<rules.RetentionRequest> = {}): Promise<rules.RetentionReply> {
    return this.#unary('Retention', request);
  }

  /** What is wrong with the configuration is in the reply. */
  reload(): Promise<ReloadReply> {
    return this.#unary('Reload', {});
  }

  listeners(): Promise<listening.ListenersReply> {
    return this.#unary('Listeners', {});
  }

  enableListener(request: Ask<listening.EnableListenerRequest>): Promise<listening.ListenerReply> {
    return this.#unary('EnableListener', request);
  }

  disableListener(
    request: Ask<listening.DisableListenerRequest>,
  ): Promise<listening.ListenerReply> {
    return this.#unary('DisableListener', request);
  }

  drain(request: Ask<listening.DrainRequest> = {}): Promise<listening.DrainReply> {
    return this.#unary('Drain', request);
  }

  webhooks(): Promise<hooks.WebhooksReply> {
    return this.#unary('Webhooks', {});
  }

  deadLetters(request: Ask<hooks.DeadLettersRequest>): Promise<hooks.DeadLettersReply> {
    return this.#unary('DeadLetters', request);
  }

  replayDeadLetters(
    request: Ask<hooks.ReplayDeadLettersRequest>,
  ): Promise<hooks.ReplayDeadLettersReply> {
    return this.#unary('ReplayDeadLetters', request);
  }

  channel(request: moderation.ChannelRequest): Promise<moderation.ChannelInfo> {
    return this.#unary('Channel', request);
  }

  setChannel(request: moderation.SetChannelRequest): Promise<moderation.ChannelInfo> {
    return this.#unary('SetChannel', request);
  }

  deleteChannel(request: moderation.ChannelRequest): Promise<moderation.DeleteChannelReply> {
    return this.#unary('DeleteChannel', request);
  }

  channelList(request: Ask<moderation.ChannelListRequest>): Promise<moderation.ChannelListReply> {
    return this.#unary('ChannelList', request);
  }

  changeChannelList(request: Ask<moderation.ChangeChannelListRequest>): Promise<object> {
    return this.#unary('ChangeChannelList', request);
  }

  user(request: moderation.UserRequest): Promise<moderation.UserInfo> {
    return this.#unary('User', request);
  }

  setToken(request: Ask<moderation.SetTokenRequest>): Promise<object> {
    return this.#unary('SetToken', request);
  }

  signOut(request: moderation.SignOutRequest): Promise<object> {
    return this.#unary('SignOut', request);
  }

  systemUsers(request: Ask<moderation.SystemUsersRequest> = {}): Promise<moderation.UidList> {
    return this.#unary('SystemUsers', request);
  }

  setSystemUsers(request: Ask<moderation.SetSystemUsersRequest>): Promise<object> {
    return this.#unary('SetSystemUsers', request);
  }

  decommission(request: Ask<wire.DecommissionRequest>): Promise<wire.DecommissionReply> {
    return this.#unary('Decommission', request);
  }

  injectFault(request: Ask<wire.FaultRequest>): Promise<wire.FaultReply> {
    return this.#unary('InjectFault', request);
  }

  operationLog(
    request: Ask<diagnosis.OperationLogRequest> = {},
  ): Promise<diagnosis.OperationLogReply> {
    return this.#unary('OperationLog', request);
  }

  /** Until it has ended, or the signal aborts: then the node ends its run. */
  verify(signal: AbortSignal): AsyncGenerator<diagnosis.VerifyState> {
    return this.#read('Verify', {}, { signal });
  }

  /** Until the signal aborts (then it just ends) or the connection is lost (then it throws). */
  watch(request: Ask<wire.WatchRequest>, signal: AbortSignal): AsyncGenerator<wire.WatchEvent> {
    return this.#read('Watch', request, { signal });
  }

  /**
   * The raw stream: the caller honours write() and reads every reply. Its errors are ServiceErrors, to be
   * made AdminCallErrors by `callError`. `bulk-client.ts` has the loop that most callers want.
   */
  openBulk(): BulkStream {
    const { path, requestSerialize, responseDeserialize } = this.#method('SubscribeBulk');
    return this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => wire.BulkReply,
      this.#metadata,
    );
  }

  callError(error: unknown): Error {
    if (!(error instanceof Error) || !('details' in error)) return error as Error;
    return new AdminCallError(error as ServiceError, this.address);
  }

  close(): void {
    this.#client.close();
  }

  #method(name: string) {
    return this.#service[name]!;
  }

  #deadline(): Date {
    return new Date(systemRuntime.clock.wallMs() + this.#timeoutMs);
  }

  #unary<Reply>(name: string, request: object): Promise<Reply> {
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize as (bytes: Buffer) => Reply,
        request,
        this.#metadata,
        { deadline: this.#deadline() },
        (error, reply) => (error ? reject(this.callError(error)) : resolve(reply!)),
      );
    });
  }

  /** Leaving the loop early cancels the call. */
  async *#read<Reply>(
    name: string,
    request: object,
    { deadline, signal }: { readonly deadline?: Date; readonly signal?: AbortSignal },
  ): AsyncGenerator<Reply> {
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    const call: ClientReadableStream<Reply> = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => Reply,
      request,
      this.#metadata,
      deadline ? { deadline } : {},
    );
    const onAbort = (): void => call.cancel();
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) call.cancel();
    try {
      for await (const reply of call) yield reply as Reply;
    } catch (error) {
      if (!signal?.aborted) throw this.callError(error);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      call.cancel();
    }
  }
}
