import { WebSocket, type RawData } from 'ws';
import type { Log } from '../../observability/log.ts';
import type { Runtime, Timer } from '../../runtime/port.ts';
import { perform, type ActionGround, type Reply } from './actions.ts';
import { echoOf } from './echo.ts';
import type { Events, OneBotEvent } from './events.ts';
import type { BridgeRole } from './target.ts';
import { isObject } from './values.ts';

export interface LinkOptions {
  readonly socket: WebSocket;
  readonly role: BridgeRole;
  /** Who is at the other end, for the log. */
  readonly peer: string;
  readonly events: Events;
  readonly ground: ActionGround;
  readonly heartbeatMs: number;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly onClosed: (link: BridgeLink, why: string) => void;
}

/** Answers a socket may wait for. */
const PENDING_MAX = 200;
/** Unsent to one that does not read. */
const UNSENT_BYTES_MAX = 8 * 1024 * 1024;
/** Events of which it is not known whether they were read: more has only one that answers no ping. */
const UNREAD_MAX = 20_000;
/** From the Close frame to the end of the connection. */
const CLOSE_MS = 3_000;
const GOING_AWAY = 1001;
const TOO_SLOW = 1013;

/**
 * A ping goes out with each heartbeat; a socket that says nothing for so many, not even to the ping, is cut off.
 * Without it a bot that lost its power would be online until TCP gives up, a quarter of an hour later.
 */
const SILENT_HEARTBEATS = 2;

/** One OneBot socket, whoever dialled: events out, actions in, a heartbeat. */
export class BridgeLink {
  readonly #options: LinkOptions;
  readonly #startedMs: number;
  #heartbeat: Timer | undefined;
  #pending = 0;
  #lastMs: number;
  #isOver = false;
  /** Events that were sent, and how many of them the last pong says the other side has read. */
  #sent = 0;
  #read = 0;
  #isAsked = false;
  #waiting: { readonly upTo: number; readonly resolve: (isRead: boolean) => void }[] = [];

  constructor(options: LinkOptions) {
    this.#options = options;
    const { socket, runtime, events } = options;
    this.#startedMs = runtime.clock.monotonicMs();
    this.#lastMs = this.#startedMs;
    socket.on('message', (data: RawData) => void this.#received((data as Buffer).toString()));
    socket.on('ping', () => this.#heard());
    socket.on('pong', (data) => this.#answered(data));
    socket.on('error', (error) => this.#end(error.message));
    socket.on('close', (code, reason) => this.#end(`closed with ${code} ${reason.toString()}`));
    this.event(events.lifecycle('connect', runtime.clock.wallMs()));
    this.event(events.lifecycle('enable', runtime.clock.wallMs()));
    this.#beat();
  }

  get takesEvents(): boolean {
    return this.#options.role !== 'API';
  }

  /** False where it cannot take it any more. */
  event(event: OneBotEvent): boolean {
    if (!this.takesEvents || this.#isOver || !this.#send(event)) return false;
    this.#sent += 1;
    return true;
  }

  /**
   * Whether the other side has read all events until now. OneBot confirms nothing, but a WebSocket is in order
   * and answers pings: what was written into a connection that had silently gone is not taken as heard.
   */
  whenRead(): Promise<boolean> {
    if (this.#isOver) return Promise.resolve(false);
    if (this.#waiting.length >= UNREAD_MAX) {
      this.#options.socket.close(TOO_SLOW, 'answers no ping');
      return Promise.resolve(false);
    }
    return new Promise((resolve) => {
      this.#waiting.push({ upTo: this.#sent, resolve });
      this.#ask();
    });
  }

  /** S3-1: its disable event, the Close frame, and after 3 s the end. */
  close(reason: string): void {
    if (this.#isOver) return;
    const { socket, runtime, events } = this.#options;
    this.event(events.lifecycle('disable', runtime.clock.wallMs()));
    this.#heartbeat?.cancel();
    socket.close(GOING_AWAY, reason.slice(0, 120));
    runtime.timers.after(CLOSE_MS, () => socket.terminate());
  }

  #send(value: object): boolean {
    const text = this.#textOf(value);
    return text === undefined || this.#sendText(text);
  }

  #sendText(text: string): boolean {
    const { socket } = this.#options;
    if (socket.readyState !== WebSocket.OPEN) return false;
    if (socket.bufferedAmount > UNSENT_BYTES_MAX) {
      socket.close(TOO_SLOW, 'does not read');
      return false;
    }
    socket.send(text);
    return true;
  }

  /** Undefined where it is nested too deep to be written: nobody can be told of it. */
  #textOf(value: object): string | undefined {
    try {
      return JSON.stringify(value);
    } catch (error) {
      this.#options.log.warn('what a OneBot socket was to be told cannot be written', { error });
      return undefined;
    }
  }

  async #received(text: string): Promise<void> {
    const { ground, role } = this.#options;
    this.#heard();
    if (role === 'Event') return;
    let frame: unknown;
    try {
      frame = JSON.parse(text);
    } catch {
      this.#send({ status: 'failed', retcode: 1400, data: null, message: 'expected JSON' });
      return;
    }
    const echo = isObject(frame) ? echoOf(text) : undefined;
    if (this.#pending >= PENDING_MAX) {
      this.#reply(
        { status: 'failed', retcode: 1500, data: null, message: 'too many at once' },
        echo,
      );
      return;
    }
    this.#pending += 1;
    const reply = await perform(ground, frame);
    this.#pending -= 1;
    this.#reply(reply, echo);
  }

  /** The echo verbatim, and left out where there was none: some clients stop at a failure with an echo of null. */
  #reply(reply: Reply, echo: string | undefined): void {
    const text =
      this.#textOf(reply) ?? '{"status":"failed","retcode":1500,"data":null,"message":"too deep"}';
    this.#sendText(echo === undefined ? text : `${text.slice(0, -1)},"echo":${echo}}`);
  }

  #heard(): void {
    this.#lastMs = this.#options.runtime.clock.monotonicMs();
  }

  /** One ping at a time: its payload says how many events went before it. */
  #ask(): void {
    const { socket } = this.#options;
    if (this.#isAsked || socket.readyState !== WebSocket.OPEN) return;
    this.#isAsked = true;
    socket.ping(String(this.#sent));
  }

  #answered(data: Buffer): void {
    this.#heard();
    const read = Number(data.toString());
    // A pong may also come unasked.
    if (data.length === 0 || !(read >= this.#read && read <= this.#sent)) return;
    this.#isAsked = false;
    this.#read = read;
    this.#settle();
    if (this.#waiting.length > 0) this.#ask();
  }

  #settle(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const isRead = next.upTo <= this.#read;
      if (!isRead && !this.#isOver) return;
      this.#waiting.shift();
      next.resolve(isRead);
    }
  }

  #beat(): void {
    const { heartbeatMs, runtime, events, ground, socket } = this.#options;
    this.#heartbeat = runtime.timers.after(heartbeatMs, () => {
      if (this.#isOver) return;
      const silentMs = runtime.clock.monotonicMs() - this.#lastMs;
      if (silentMs >= SILENT_HEARTBEATS * heartbeatMs) {
        this.#end(`nothing heard for ${SILENT_HEARTBEATS} heartbeats`);
        socket.terminate();
        return;
      }
      this.event(events.heartbeat(runtime.clock.wallMs(), heartbeatMs, ground.isOnline()));
      this.#ask();
      this.#beat();
    });
  }

  /** S3-7. */
  #end(why: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#heartbeat?.cancel();
    this.#settle();
    const { runtime, log, peer, role, onClosed } = this.#options;
    const now = runtime.clock.monotonicMs();
    const [durationMs, silentMs] = [now - this.#startedMs, now - this.#lastMs].map(Math.round);
    log.info('a OneBot connection ended', { peer, role, why, durationMs, silentMs });
    onClosed(this, why);
  }
}
