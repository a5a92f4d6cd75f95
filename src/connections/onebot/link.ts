import { WebSocket, type RawData } from 'ws';
import type { Log } from '../../observability/log.ts';
import type { Runtime, Timer } from '../../runtime/port.ts';
import { perform, type ActionGround } from './actions.ts';
import type { Events, OneBotEvent } from './events.ts';
import type { BridgeRole } from './target.ts';

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
/** From the Close frame to the end of the connection. */
const CLOSE_MS = 3_000;
const GOING_AWAY = 1001;
const TOO_SLOW = 1013;

/** One OneBot socket, whoever dialled: events out, actions in, a heartbeat. */
export class BridgeLink {
  readonly #options: LinkOptions;
  readonly #startedMs: number;
  #heartbeat: Timer | undefined;
  #pending = 0;
  #lastMs: number;
  #isOver = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    const { socket, runtime, events } = options;
    this.#startedMs = runtime.clock.monotonicMs();
    this.#lastMs = this.#startedMs;
    socket.on('message', (data: RawData) => void this.#received(data));
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
    if (!this.takesEvents || this.#isOver) return false;
    return this.#send(event);
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
    const { socket } = this.#options;
    if (socket.readyState !== WebSocket.OPEN) return false;
    if (socket.bufferedAmount > UNSENT_BYTES_MAX) {
      socket.close(TOO_SLOW, 'does not read');
      return false;
    }
    socket.send(JSON.stringify(value));
    return true;
  }

  async #received(data: RawData): Promise<void> {
    const { ground, role, runtime } = this.#options;
    this.#lastMs = runtime.clock.monotonicMs();
    if (role === 'Event') return;
    let frame: unknown;
    try {
      frame = JSON.parse((data as Buffer).toString());
    } catch {
      this.#send({ status: 'failed', retcode: 1400, data: null, message: 'expected JSON' });
      return;
    }
    if (this.#pending >= PENDING_MAX) {
      const echo = (frame as { echo?: unknown } | null)?.echo;
      const reply = { status: 'failed', retcode: 1500, data: null, message: 'too many at once' };
      this.#send(echo === undefined ? reply : { ...reply, echo });
      return;
    }
    this.#pending += 1;
    const reply = await perform(ground, frame);
    this.#pending -= 1;
    this.#send(reply);
  }

  #beat(): void {
    const { heartbeatMs, runtime, events, ground } = this.#options;
    if (!this.takesEvents) return;
    this.#heartbeat = runtime.timers.after(heartbeatMs, () => {
      if (this.#isOver) return;
      this.event(events.heartbeat(runtime.clock.wallMs(), heartbeatMs, ground.isOnline()));
      this.#beat();
    });
  }

  /** S3-7. */
  #end(why: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#heartbeat?.cancel();
    const { runtime, log, peer, role, onClosed } = this.#options;
    const now = runtime.clock.monotonicMs();
    const [durationMs, silentMs] = [now - this.#startedMs, now - this.#lastMs].map(Math.round);
    log.info('a OneBot connection ended', { peer, role, why, durationMs, silentMs });
    onClosed(this, why);
  }
}
