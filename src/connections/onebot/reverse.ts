import { WebSocket } from 'ws';
import type { ConnectionRow } from '../../core/kinds/connection.ts';
import type { ConnectionDriver, ConnectionTell, OpenConnection } from '../port.ts';
import { AccountNotes } from './account-notes.ts';
import { Bridge, type BridgeGround } from './bridge.ts';
import { readTarget, type BridgeRole, type BridgeTarget } from './target.ts';

const FRAME_BYTES_MAX = 1024 * 1024;
const HANDSHAKE_MS = 15_000;

/** Dials the bot's framework, as a OneBot v11 implementation does in reverse mode. */
export class ReverseDriver implements ConnectionDriver {
  readonly #ground: BridgeGround;

  constructor(ground: BridgeGround) {
    this.#ground = ground;
  }

  check(text: string): string | undefined {
    const target = readTarget(text, 'reverse');
    return typeof target === 'string' ? target : undefined;
  }

  open({ id, target: text }: ConnectionRow, tell: ConnectionTell): OpenConnection {
    const target = readTarget(text, 'reverse');
    if (typeof target === 'string') throw new Error(`target: ${target}`);
    const dialled = new Dialled(id, target, { ground: this.#ground, tell });
    dialled.start();
    return dialled;
  }
}

class Dialled implements OpenConnection {
  readonly #target: BridgeTarget;
  readonly #ground: BridgeGround;
  readonly #tell: ConnectionTell;
  readonly #bridge: Bridge;
  readonly #notes: AccountNotes;
  readonly #dialling = new Set<WebSocket>();
  readonly #open = new Set<WebSocket>();
  #isOver = false;
  #isConnected = false;

  constructor(
    id: string,
    target: BridgeTarget,
    { ground, tell }: { readonly ground: BridgeGround; readonly tell: ConnectionTell },
  ) {
    this.#target = target;
    this.#ground = ground;
    this.#tell = tell;
    const what = `open to ${target.url}`;
    this.#notes = new AccountNotes({ ...ground, what, tell });
    this.#bridge = new Bridge({
      ...{ ...ground, id, target },
      onAccount: (state, reason) => {
        if (this.#isConnected) this.#notes.onState(state, reason);
        if (state === 'connected') this.#report('CONNECTED', what);
        if (state === 'refused') this.#fail(`the bot is not let in: ${reason}`);
      },
      onLinkClosed: (why) => this.#fail(why),
    });
  }

  start(): void {
    for (const role of this.#target.roles) this.#dial(role);
  }

  /** Resolves when the other side has seen the end of every socket, for the next attempt dials it too. */
  async close(reason: string): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#notes.stop();
    const ends = [...this.#open].map((socket) => new Promise((end) => socket.once('close', end)));
    for (const socket of this.#dialling) socket.terminate();
    this.#bridge.close(reason);
    await Promise.all(ends);
  }

  #dial(role: BridgeRole): void {
    const { url, accessToken } = this.#target;
    const headers: Record<string, string> = {
      'X-Self-ID': String(this.#bridge.selfId),
      'X-Client-Role': role,
    };
    if (accessToken !== '') headers['Authorization'] = `Bearer ${accessToken}`;
    const socket = new WebSocket(url, {
      ...{ headers, handshakeTimeout: HANDSHAKE_MS, maxPayload: FRAME_BYTES_MAX },
      perMessageDeflate: false,
    });
    this.#dialling.add(socket);
    const onError = (error: Error): void => this.#fail(`${url}: ${error.message}`);
    socket.on('error', onError);
    socket.once('open', () => {
      this.#dialling.delete(socket);
      if (this.#isOver) return socket.terminate();
      socket.off('error', onError);
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
      return this.#bridge.attach(socket, role, url);
    });
  }

  #report(to: 'CONNECTED' | 'TIMEOUT', reason: string): void {
    if (this.#isOver || (to === 'CONNECTED' && this.#isConnected)) return;
    this.#isConnected = to === 'CONNECTED';
    this.#tell({ to, reason }).catch((error: unknown) => {
      this.#ground.log.info('a report of a bridge was not taken', { to, error });
    });
  }

  /** The machine closes this attempt and begins the next one. */
  #fail(why: string): void {
    this.#report('TIMEOUT', why);
  }
}
