import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * What the adapter uses of uWebSockets.js; its own types lack the listen call with a host and
 * options.
 */
export interface NativeSocket {
  send(frame: Uint8Array | string, isBinary: boolean): number;
  publish(topic: string, frame: Uint8Array | string, isBinary: boolean): boolean;
  subscribe(topic: string): boolean;
  unsubscribe(topic: string): boolean;
  isSubscribed(topic: string): boolean;
  getTopics(): string[];
  getBufferedAmount(): number;
  getRemoteAddressAsText(): ArrayBuffer;
  cork(task: () => void): void;
  end(code: number, reason: string): void;
  close(): void;
}

export interface NativeResponse {
  writeStatus(status: string): NativeResponse;
  writeHeader(name: string, value: string): NativeResponse;
  end(body: string, closeConnection: boolean): void;
  getRemoteAddressAsText(): ArrayBuffer;
  upgrade(
    userData: object,
    ...keyProtocolExtensionsContext: readonly [string, string, string, object]
  ): void;
}

export interface NativeRequest {
  getHeader(name: string): string;
  getUrl(): string;
  getQuery(): string;
}

export interface NativeBehavior<Socket> {
  readonly compression: number;
  readonly maxPayloadLength: number;
  readonly maxBackpressure: number;
  readonly closeOnBackpressureLimit: boolean;
  readonly idleTimeout: number;
  readonly sendPingsAutomatically: boolean;
  upgrade(response: NativeResponse, request: NativeRequest, context: object): void;
  open(socket: Socket): void;
  message(socket: Socket, message: ArrayBuffer, isBinary: boolean): void;
  /** Some of what was buffered is sent. */
  drain(socket: Socket): void;
  close(socket: Socket, code: number, message: ArrayBuffer): void;
}

export interface NativeApp {
  ws<Socket>(pattern: string, behavior: NativeBehavior<Socket>): NativeApp;
  any(pattern: string, handler: (response: NativeResponse) => void): NativeApp;
  listen(
    host: string,
    port: number,
    ...optionsAndDone: readonly [number, (listener: object | false) => void]
  ): NativeApp;
  publish(topic: string, frame: Uint8Array | string, isBinary: boolean): boolean;
  numSubscribers(topic: string): number;
  /** Closes all its sockets, of HTTP and those that listen as well; it may listen again. */
  close(): void;
}

export interface NativeTlsOptions {
  readonly cert_file_name: string;
  readonly key_file_name: string;
  /** Gives buffers back while nothing is sent or received. */
  readonly ssl_prefer_low_memory_usage: boolean;
}

export interface Native {
  readonly DISABLED: number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
  App(): NativeApp;
  /** Throws where the files are not what they should be. */
  SSLApp(options: NativeTlsOptions): NativeApp;
  us_listen_socket_close(listener: object): void;
  us_socket_local_port(listener: object): number;
}

/**
 * The native binary of uWebSockets.js for this Node, or undefined where there is none. It is loaded
 * past the package's main file: that one falls back to a stub without publish, and only warns.
 */
export function loadNative(): Native | undefined {
  const require = createRequire(import.meta.url);
  let main: string;
  try {
    main = require.resolve('uWebSockets.js');
  } catch {
    return undefined;
  }
  const file = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;
  // The unofficial package keeps binaries apart, the official one beside its main file.
  for (const folder of [join(dirname(main), '..', 'binaries'), dirname(main)]) {
    try {
      const native = require(join(folder, file)) as Native;
      if (typeof native.App === 'function') return native;
    } catch {
      continue;
    }
  }
  return undefined;
}
