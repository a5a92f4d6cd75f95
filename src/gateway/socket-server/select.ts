import type { SocketServerFactory } from './port.ts';
import { loadNative } from './uws-native.ts';
import { createUwsServer } from './uws.ts';
import { createWsServer } from './ws.ts';

interface Log {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
}

/**
 * uWS where it has a native binary for this Node, else ws; says which. A wish for `uws` that cannot
 * be
 * met throws at the first server, with `ERR_UWS_MISSING`.
 */
export function selectSocketServer(log: Log, wish: 'auto' | 'uws' | 'ws'): SocketServerFactory {
  if (wish === 'uws' || (wish === 'auto' && loadNative())) {
    log.info('client sockets run on uWebSockets.js', { node: process.version });
    return createUwsServer;
  }
  if (wish === 'ws') log.info('client sockets run on ws, as configured', { node: process.version });
  else {
    log.warn('client sockets run on ws: uWebSockets.js has no native binary here', {
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
    });
  }
  return createWsServer;
}
