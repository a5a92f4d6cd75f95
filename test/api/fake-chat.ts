import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';

type Params = Readonly<Record<string, unknown>>;

interface Frame {
  readonly id?: string;
  readonly method: string;
  readonly params: Params;
}

/** A server that speaks just enough of the dialect for the page: no storage, no rules. */
export class FakeChat {
  /** uids that are refused at connect. */
  readonly refused = new Set<string>();
  /** Every connect is refused with reason 15. */
  catchingUp = false;
  readonly #server: WebSocketServer;
  readonly #users = new Map<WebSocket, string>();
  readonly #subscribers = new Map<string, Set<string>>();
  #seq = 0;

  private constructor(port: number) {
    this.#server = new WebSocketServer({ host: '127.0.0.1', port });
    this.#server.on('connection', (socket) => {
      socket.on('message', (data: Buffer) => {
        this.#answer(socket, JSON.parse(data.toString()) as Frame);
      });
      socket.on('close', () => this.#users.delete(socket));
    });
  }

  static async start(port = 0): Promise<FakeChat> {
    const chat = new FakeChat(port);
    await new Promise((resolve, reject) => {
      chat.#server.once('listening', resolve);
      chat.#server.once('error', reject);
    });
    return chat;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** As a node that dies: nobody gets a Close frame. */
  async stop(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Tells every session that it is kicked. */
  kickAll(): void {
    for (const socket of this.#users.keys()) {
      const params = { reasonCode: 12, reason: 'the same device connected again' };
      socket.send(JSON.stringify({ jsonrpc: '2.0', method: 'disconnect', params }));
      socket.close();
    }
  }

  /** As a node that is being drained: tells every session where to go, then closes. */
  drainTo(next: string): void {
    for (const socket of this.#users.keys()) {
      const data = JSON.stringify({ sub_type: 'drain', reconnect: true, next: [next] });
      const params = { id: 'drain-1', type: 'lifecycle.drain', timestamp: Date.now(), data };
      socket.send(JSON.stringify({ jsonrpc: '2.0', method: 'event', params }));
      socket.close(1012, 'draining');
    }
  }

  #answer(socket: WebSocket, { id, method, params }: Frame): void {
    const reply = (body: Params) => socket.send(JSON.stringify({ jsonrpc: '2.0', id, ...body }));
    if (method === 'connect') {
      const uid = params['uid'] as string;
      if (this.refused.has(uid)) {
        reply({ error: { code: 2, message: 'the token is not valid' } });
        socket.close();
        return;
      }
      if (this.catchingUp) {
        reply({ error: { code: 15, message: 'the store is catching up' } });
        return;
      }
      this.#users.set(socket, uid);
      reply({ result: { serverVersion: 4, timeDiff: 0, reasonCode: 1, nodeId: 1 } });
    } else if (method === 'subscribe' || method === 'unsubscribe') {
      const members = this.#membersOf(keyOf(params));
      if (method === 'subscribe') members.add(this.#users.get(socket)!);
      else members.delete(this.#users.get(socket)!);
      reply({ result: { ...params, action: method === 'subscribe' ? 0 : 1, reasonCode: 1 } });
    } else if (method === 'send') {
      reply({ result: this.#deliver(socket, params) });
    } else if (method === 'history') {
      reply({ result: { messages: [], more: false, nextSeq: 0 } });
    } else if (method === 'conversations') {
      reply({ result: { conversations: [], version: 1, next: '', more: false } });
    } else if (method === 'read') {
      reply({ result: { reasonCode: 1 } });
    } else if (method === 'ping') {
      reply({ result: {} });
    }
  }

  #deliver(sender: WebSocket, params: Params): Params {
    const from = this.#users.get(sender)!;
    const [messageSeq, slot] = [++this.#seq, 1n];
    const counter = BigInt(randomBytes(2).readUInt16BE());
    const messageId = String((BigInt(Date.now()) << 21n) | (slot << 16n) | counter);
    const person = params['channelType'] === 1;
    for (const [socket, uid] of this.#users) {
      const wanted = person ? uid === params['channelId'] : this.#membersOf(keyOf(params)).has(uid);
      if (socket === sender || !wanted) continue;
      const { clientMsgNo, channelType, payload } = params;
      const channelId = person ? from : params['channelId'];
      const timestamp = Math.floor(Date.now() / 1000);
      const view = { channelId, channelType, fromUid: from, timestamp, clientMsgNo, payload };
      const recv = { method: 'recv', params: { messageId, messageSeq, ...view } };
      socket.send(JSON.stringify({ jsonrpc: '2.0', ...recv }));
    }
    return { messageId, messageSeq, reasonCode: 1 };
  }

  #membersOf(key: string): Set<string> {
    const known = this.#subscribers.get(key) ?? new Set<string>();
    this.#subscribers.set(key, known);
    return known;
  }
}

function keyOf(params: Params): string {
  return `${String(params['channelType'])}/${String(params['channelId'])}`;
}
