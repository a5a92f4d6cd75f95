import { readFileSync } from 'node:fs';
import type { TlsMaterial, TlsSource } from '../../config/certificate.ts';
import type { Rebinding } from './port.ts';
import type { Native, NativeApp } from './uws-native.ts';

export interface UwsGround {
  readonly native: Native;
  readonly tls: TlsSource | undefined;
}

/** One app of uWS: its sockets have the certificate that it was made with. */
export interface UwsApp {
  readonly native: NativeApp;
  sockets: number;
}

/**
 * uWS cannot change the certificate of an app. So there is one that listens, and beside it those of
 * before that have sockets still; topics are per app, and what is published goes to all of them. Without
 * TLS, and while no certificate was changed, there is one app.
 */
export class UwsApps {
  readonly #ground: UwsGround;
  readonly #behave: (app: UwsApp) => void;
  #current: UwsApp;
  /** Those of before, with their sockets. */
  readonly #older = new Set<UwsApp>();
  #listening:
    { readonly listener: object; readonly host: string; readonly port: number } | undefined;
  readonly #forgetTls: (() => void) | undefined;
  #isRebinding = false;
  #cutsLater = false;
  #isClosed = false;

  /** `behave` says what an app does with requests and sockets. */
  constructor(ground: UwsGround, behave: (app: UwsApp) => void) {
    this.#ground = ground;
    this.#behave = behave;
    this.#current = this.#make(ground.tls?.current());
    this.#forgetTls = ground.tls?.onChange((material) => this.#replace(material));
  }

  /** The port; throws EADDRINUSE. */
  listen(host: string, port: number): number {
    const { native } = this.#ground;
    const listener = this.#tryListen(this.#current, host, port);
    if (!listener) throw taken(host, port);
    const bound = native.us_socket_local_port(listener);
    this.#listening = { listener, host, port: bound };
    return bound;
  }

  /**
   * Two sockets that listen on one port keep each other out, even on different hosts: where only the
   * host differs, the address before is let go first, and taken again where the new one fails.
   */
  rebind(host: string, port: number): Rebinding {
    const before = this.#listening;
    const inTheWay = before?.port === port;
    if (inTheWay) this.stopListening();
    const listener = this.#tryListen(this.#current, host, port);
    if (!listener) {
      if (inTheWay) this.listen(before.host, before.port);
      throw taken(host, port);
    }
    const { native } = this.#ground;
    const bound = native.us_socket_local_port(listener);
    this.#isRebinding = true;
    return {
      port: bound,
      commit: () => {
        if (this.#isClosed) return;
        this.stopListening();
        this.#listening = { listener, host, port: bound };
        this.#rebound();
      },
      abort: () => {
        // It went with the apps, and to close it twice would end the process.
        if (this.#isClosed) return Promise.resolve();
        native.us_listen_socket_close(listener);
        if (inTheWay) this.listen(before.host, before.port);
        this.#rebound();
        return Promise.resolve();
      },
    };
  }

  #rebound(): void {
    this.#isRebinding = false;
    if (this.#cutsLater) this.cut();
  }

  /**
   * Closes every connection of every app, and listens again in the same tick. uWS closes with them
   * what listens, so this waits while a second address may or may not become the one.
   */
  cut(): void {
    this.#cutsLater = this.#isRebinding;
    if (this.#cutsLater) return;
    const listening = this.#listening;
    this.stopListening();
    this.#closeAll();
    if (listening) this.listen(listening.host, listening.port);
  }

  /** Their sockets are told to `closed` meanwhile. */
  #closeAll(): void {
    for (const app of [...this.#older, this.#current]) app.native.close();
  }

  /** New sockets get what `behave` says now. Throws where the port could not be bound again. */
  renew(): void {
    this.#replace(this.#ground.tls?.current());
  }

  stopListening(): void {
    if (this.#listening) this.#ground.native.us_listen_socket_close(this.#listening.listener);
    this.#listening = undefined;
  }

  close(): void {
    this.#forgetTls?.();
    this.stopListening();
    this.#closeAll();
    this.#isClosed = true;
  }

  /** `except`: an app that has it already. */
  publish(topic: string, frame: Uint8Array | string, except?: UwsApp): void {
    const isBinary = typeof frame !== 'string';
    if (this.#current !== except) this.#current.native.publish(topic, frame, isBinary);
    for (const app of this.#older) {
      if (app !== except) app.native.publish(topic, frame, isBinary);
    }
  }

  memberCount(topic: string): number {
    let count = this.#current.native.numSubscribers(topic);
    for (const app of this.#older) count += app.native.numSubscribers(topic);
    return count;
  }

  opened(app: UwsApp): void {
    app.sockets += 1;
    // It shook hands with an app that was replaced meanwhile, and whose last socket may have gone.
    if (app !== this.#current) this.#older.add(app);
  }

  closed(app: UwsApp): void {
    app.sockets -= 1;
    if (app.sockets === 0) this.#older.delete(app);
  }

  #make(material: TlsMaterial | undefined): UwsApp {
    const { native } = this.#ground;
    const made = material ? native.SSLApp(tlsOptions(material)) : native.App();
    const app: UwsApp = { native: made, sockets: 0 };
    this.#behave(app);
    return app;
  }

  /**
   * The old app stops to listen and the new one begins in one tick, because uWS would share the port
   * with any process that asks for it where two may have it. A connection that the system took in that
   * moment, and that nobody here has seen, is reset.
   */
  #replace(material: TlsMaterial | undefined): void {
    const next = this.#make(material);
    if (material) assertUnchanged(material);
    const listening = this.#listening;
    if (listening) {
      const { host, port } = listening;
      this.stopListening();
      const listener = this.#tryListen(next, host, port);
      if (!listener) {
        this.listen(host, port);
        throw new Error(`the port ${port} could not be bound again`);
      }
      this.#listening = { listener, host, port };
    }
    if (this.#current.sockets > 0) this.#older.add(this.#current);
    this.#current = next;
  }

  #tryListen(app: UwsApp, host: string, port: number): object | undefined {
    const { native } = this.#ground;
    let bound: object | undefined;
    // uWS answers before it returns.
    app.native.listen(host, port, native.LIBUS_LISTEN_EXCLUSIVE_PORT, (listener) => {
      if (listener !== false) bound = listener;
    });
    return bound;
  }
}

function taken(host: string, port: number): Error {
  const error = new Error(`cannot listen on ${host}:${port}: the port is taken`);
  return Object.assign(error, { code: 'EADDRINUSE' });
}

function tlsOptions({ files }: TlsMaterial) {
  return {
    cert_file_name: files.certificateFile,
    key_file_name: files.keyFile,
    ssl_prefer_low_memory_usage: true,
  };
}

/** uWS reads the files itself: what it read has to be what was checked. */
function assertUnchanged({ files, certificate, key }: TlsMaterial): void {
  const isSame =
    readFileSync(files.certificateFile, 'utf8') === certificate &&
    readFileSync(files.keyFile, 'utf8') === key;
  if (!isSame) throw new Error('the files changed while they were read');
}
