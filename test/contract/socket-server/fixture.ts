import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { get as getSecure } from 'node:https';
import { connect as connectTcp, type Socket as TcpSocket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ExecutionContext } from 'ava';
import { WebSocket, type RawData } from 'ws';
import type {
  Socket,
  SocketHandlers,
  SocketLimits,
  SocketServer,
  SocketServerFactory,
} from '../../../src/gateway/socket-server/port.ts';
import { certificateText } from '../../support/certificates.ts';
import { until } from '../../support/until.ts';

export const LIMITS: SocketLimits = {
  frameBytesMax: 1000,
  queueBytesMax: 256 * 1024,
  idleSeconds: 60,
};

/** What is held to the contract, and how one speaks to it. */
export interface Subject {
  readonly create: SocketServerFactory;
  readonly scheme: 'ws' | 'wss';
}

export const CA = certificateText('ca');

export const DEAF: SocketHandlers<string> = {
  onUpgrade: () => ({ accept: true }),
  onOpen: () => {},
  onMessage: () => {},
  onClose: () => {},
};

interface Ended {
  readonly id: number;
  readonly code: number;
  readonly reason: string;
}

export interface Fixture {
  readonly server: SocketServer<string>;
  readonly port: number;
  readonly scheme: Subject['scheme'];
  readonly sockets: Socket<string>[];
  readonly received: { readonly text: string; readonly binary: boolean }[];
  readonly ended: Ended[];
}

export async function serve(
  t: ExecutionContext,
  subject: Subject,
  change: { handlers?: Partial<SocketHandlers<string>>; limits?: Partial<SocketLimits> } = {},
): Promise<Fixture> {
  const sockets: Socket<string>[] = [];
  const received: { text: string; binary: boolean }[] = [];
  const ended: Ended[] = [];
  const server = subject.create<string>(
    {
      onUpgrade: () => ({ accept: true }),
      onOpen: (socket) => {
        socket.data = `session ${socket.id}`;
        sockets.push(socket);
      },
      onMessage: (_socket, bytes, binary) => {
        received.push({ text: Buffer.from(bytes).toString(), binary });
      },
      onClose: (socket, code, reason) => ended.push({ id: socket.id, code, reason }),
      ...change.handlers,
    },
    { ...LIMITS, ...change.limits },
  );
  const port = await server.listen('127.0.0.1', 0);
  t.teardown(() => server.close());
  return { server, port, scheme: subject.scheme, sockets, received, ended };
}

export class Client {
  readonly ws: WebSocket;
  readonly frames: string[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;

  constructor({ port, scheme }: Pick<Fixture, 'port' | 'scheme'>) {
    this.ws = new WebSocket(`${scheme}://127.0.0.1:${port}/path?a=b`, { ca: CA });
    this.ws.on('message', (data: RawData, binary) => {
      this.frames.push(`${binary ? 'binary' : 'text'} ${(data as Buffer).toString()}`);
    });
    this.ws.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }));
    this.ws.on('error', () => {});
  }
}

export async function clients(
  t: ExecutionContext,
  fixture: Fixture,
  count: number,
): Promise<Client[]> {
  const before = fixture.sockets.length;
  const all: Client[] = [];
  for (let i = 0; i < count; i++) {
    const client = new Client(fixture);
    t.teardown(() => client.ws.terminate());
    await once(client.ws, 'open');
    all.push(client);
  }
  await until('all sockets are open', () => fixture.sockets.length === before + count);
  return all;
}

/** A client that upgrades and is never heard of again, as one whose machine lost its power. */
export async function halfOpen({ port, scheme }: Fixture): Promise<TcpSocket> {
  const socket =
    scheme === 'wss'
      ? connectTls({ port, host: '127.0.0.1', ca: CA })
      : connectTcp(port, '127.0.0.1');
  await once(socket, scheme === 'wss' ? 'secureConnect' : 'connect');
  socket.write(
    `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  await once(socket, 'data');
  socket.resume();
  return socket;
}

/** The status of a request that wants no upgrade. */
export async function plainRequest({ port, scheme }: Fixture): Promise<number | undefined> {
  const request = (scheme === 'wss' ? getSecure : get)({ port, host: '127.0.0.1', ca: CA });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}
