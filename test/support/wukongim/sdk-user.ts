import { fork, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { until } from '../until.ts';
import type {
  FromSdk,
  SdkCommand,
  SdkConversation,
  SdkMessage,
  SdkSendack,
  SdkStored,
  ToSdk,
} from './protocol.ts';

/** The SDK's own words for where it is. */
export const SDK_STATUS = { disconnected: 0, connected: 1, connecting: 2, failed: 3, kicked: 4 };

export interface SdkBundle {
  readonly file: string;
  remove(): Promise<void>;
}

/**
 * The unmodified SDK as one file for Node: its own files import each other without extensions. Takes
 * about 0.3 s; once for all users of a test.
 */
export async function bundleSdk(): Promise<SdkBundle> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-sdk-'));
  const file = join(folder, 'sdk-process.cjs');
  await build({
    entryPoints: [fileURLToPath(new URL('sdk-process.ts', import.meta.url))],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    logLevel: 'error',
  });
  return { file, remove: () => rm(folder, { recursive: true, force: true }) };
}

export interface SdkUserOptions {
  readonly bundle: SdkBundle;
  /** ws://host:port, tried in turn; the SDK waits 3 s between attempts. */
  readonly addresses: readonly string[];
  readonly uid: string;
  readonly token?: string;
  readonly deviceFlag?: number;
  readonly heartbeatMs?: number;
  /** http://host:port for conversations and history. */
  readonly http?: string;
}

/** One user of the real SDK. */
export class SdkUser {
  readonly messages: SdkMessage[] = [];
  readonly statuses: { readonly status: number; readonly reasonCode: number }[] = [];
  readonly uid: string;
  readonly #options: SdkUserOptions;
  readonly #child: ChildProcess;
  readonly #acks = new Map<number, SdkSendack>();
  readonly #sent = new Map<number, number>();
  /** Of type 99, in the order of their coming. */
  readonly commands: SdkCommand[] = [];
  #conversations: readonly SdkConversation[] | undefined;
  #history: readonly SdkStored[] | undefined;
  #ready = false;
  #unanswered: number | undefined;
  #calls = 0;

  constructor(options: SdkUserOptions) {
    this.uid = options.uid;
    this.#options = options;
    this.#child = fork(options.bundle.file, {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child.on('message', (message: FromSdk) => this.#heard(message));
  }

  /** The status and reason of the SDK's latest news. */
  get status(): { readonly status: number; readonly reasonCode: number } | undefined {
    return this.statuses.at(-1);
  }

  /** Starts to connect and resolves with the first status that follows; a refusal is one too. */
  async connect(): Promise<{ readonly status: number; readonly reasonCode: number }> {
    const { uid, token = '', deviceFlag = 1, heartbeatMs = 25_000, addresses } = this.#options;
    const { http = '' } = this.#options;
    await until(`${uid}: its process runs`, () => this.#ready);
    const before = this.statuses.length;
    this.#say({ kind: 'connect', uid, token, deviceFlag, heartbeatMs, addresses, http });
    return until(`${uid}: the SDK says something`, () => this.statuses[before]);
  }

  /** Resolves with the SENDACK. */
  async send(channelId: string, channelType: number, text: string): Promise<SdkSendack> {
    const call = ++this.#calls;
    this.#say({ kind: 'send', call, channelId, channelType, text });
    return until(`${this.uid}: SENDACK`, () => this.#acks.get(this.#sent.get(call) ?? -1));
  }

  /** The texts received so far; of one channel where it is given. */
  texts(channelId?: string): string[] {
    return this.messages
      .filter((message) => channelId === undefined || message.channelId === channelId)
      .map(({ text }) => text);
  }

  /** Pings of the SDK that no PONG has answered. */
  async unansweredPings(): Promise<number> {
    this.#unanswered = undefined;
    this.#say({ kind: 'pings' });
    await until(`${this.uid}: the count of pings`, () => this.#unanswered !== undefined);
    return this.#unanswered!;
  }

  /** What the SDK's conversation manager has after a sync. */
  async conversations(): Promise<readonly SdkConversation[]> {
    this.#conversations = undefined;
    this.#say({ kind: 'conversations' });
    return until(`${this.uid}: conversations`, () => this.#conversations);
  }

  /** The newest messages, through the SDK's own call. */
  async history(channelId: string, channelType: number): Promise<readonly SdkStored[]> {
    this.#history = undefined;
    this.#say({ kind: 'history', channelId, channelType });
    return until(`${this.uid}: history`, () => this.#history);
  }

  disconnect(): void {
    this.#say({ kind: 'disconnect' });
  }

  /** Ends the process. */
  stop(): void {
    this.#child.kill('SIGKILL');
  }

  #say(message: ToSdk): void {
    this.#child.send(message);
  }

  #heard(message: FromSdk): void {
    switch (message.kind) {
      case 'ready':
        this.#ready = true;
        return;
      case 'status':
        this.statuses.push(message);
        return;
      case 'message':
        this.messages.push(message);
        return;
      case 'sendack':
        this.#acks.set(message.clientSeq, message);
        return;
      case 'sent':
        this.#sent.set(message.call, message.clientSeq);
        return;
      case 'pings':
        this.#unanswered = message.unanswered;
        return;
      case 'command':
        this.commands.push(message);
        return;
      case 'conversations':
        this.#conversations = message.conversations;
        return;
      case 'history':
        this.#history = message.messages;
        return;
      default:
        message satisfies never;
    }
  }
}
