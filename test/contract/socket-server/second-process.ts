import { createUwsServer } from '../../../src/gateway/socket-server/uws.ts';
import { createWsServer } from '../../../src/gateway/socket-server/ws.ts';

/** Tries to listen on a port that is taken and prints what it was told. */
const [name, port] = process.argv.slice(2);
const create = name === 'uws' ? createUwsServer : createWsServer;
const server = create(
  { onUpgrade: () => ({ accept: true }), onOpen: () => {}, onMessage: () => {}, onClose: () => {} },
  { frameBytesMax: 1000, queueBytesMax: 1000, idleSeconds: 60 },
);
try {
  await server.listen('127.0.0.1', Number(port));
  console.log('listening');
} catch (error) {
  console.log((error as { code?: string }).code);
}
process.exit();
