import type { TlsSource } from '../../config/certificate.ts';

/**
 * A WebSocket server with topics. Adapters: uws.ts (native publish) and ws.ts (where uWS has no binary);
 * test/contract/socket-server holds both to the same behaviour.
 */
export interface Socket<Data> {
  /** Unique within the process, never reused. */
  readonly id: number;
  readonly remoteAddress: string;
  /** Owned by the handler; set it in `open`. */
  data: Data | undefined;
  /** False once the socket has gone, or where the frame was dropped because of the hard limit. */
  send(frame: Uint8Array | string): boolean;
  /**
   * As `send`, but what is published later in the same tick may come first: the answers to a group of
   * sends leave together instead of one before each publish.
   */
  answer(frame: Uint8Array | string): void;
  join(topic: string): void;
  leave(topic: string): void;
  topics(): readonly string[];
  isIn(topic: string): boolean;
  bufferedBytes(): number;
  /**
   * Sends what is queued and a Close frame, then closes; it is in no topic and takes no frame from
   * then on. `onClose` follows when all is sent, or after `ENDING_MS`, when it is terminated.
   */
  end(code: number, reason: string): void;
  /** Closes at once, without a Close frame. */
  terminate(): void;
}

/** So long may a client take to read what is queued for it before the Close frame. */
export const ENDING_MS = 10_000;

export interface UpgradeRequest {
  readonly path: string;
  readonly query: string;
  readonly origin: string | undefined;
  readonly host: string | undefined;
  readonly remoteAddress: string;
}

export type UpgradeAnswer =
  | { readonly accept: true }
  | {
      readonly accept: false;
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body: string;
    };

export interface SocketHandlers<Data> {
  onUpgrade(request: UpgradeRequest): UpgradeAnswer;
  onOpen(socket: Socket<Data>): void;
  /** The bytes are only valid during the call. Text frames arrive as bytes too, `binary` tells. */
  onMessage(socket: Socket<Data>, bytes: Uint8Array, binary: boolean): void;
  onClose(socket: Socket<Data>, code: number, reason: string): void;
}

export interface SocketLimits {
  /** Larger frames close the socket (1009). */
  readonly frameBytesMax: number;
  /** Hard limit of unsent bytes: the socket closes at once (the client sees 1006). */
  readonly queueBytesMax: number;
  /** Without a frame from the client for this long the socket is closed. Seconds. */
  readonly idleSeconds: number;
}

export interface SocketServer<Data> {
  readonly implementation: 'uws' | 'ws';
  /** Rejects where the port is taken, also by another uWS process. Port 0 picks one; returns it. */
  listen(host: string, port: number): Promise<number>;
  /** To every member of the topic; frames published in one tick leave each socket in one write. */
  publish(topic: string, frame: Uint8Array | string): void;
  /** As `publish`, without `except`. */
  publishExcept(except: Socket<Data>, topic: string, frame: Uint8Array | string): void;
  memberCount(topic: string): number;
  /**
   * Binds another address beside the one before; open sockets stay. Rejects where it cannot be bound,
   * and then listens where it did. One at a time.
   */
  rebind(host: string, port: number): Promise<Rebinding>;
  /** For new sockets; those that are open keep the queue limit, and with uws the idle limit, they have. */
  setLimits(limits: SocketLimits): void;
  /**
   * Terminates every connection of now, also those that were ended and linger, and those that have
   * not asked for an upgrade. The port stays bound. Throws where it could not be bound again.
   */
  cut(): void;
  /** Stops to accept; open sockets stay until they are ended. */
  stopListening(): void;
  /** Terminates every open socket. */
  close(): Promise<void>;
}

/** A second address of a listener, until it is known whether it takes the place of the first. */
export interface Rebinding {
  readonly port: number;
  /** Lets go of the address before. */
  commit(): void;
  /** Lets go of the new one, and listens where it did before. */
  abort(): Promise<void>;
}

/** With `tls` the port speaks wss://; a new certificate is for new sockets, open ones stay. */
export type SocketServerFactory = <Data>(
  handlers: SocketHandlers<Data>,
  limits: SocketLimits,
  tls?: TlsSource,
) => SocketServer<Data>;
