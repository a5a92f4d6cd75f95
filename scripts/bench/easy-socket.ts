import { LoadSocket } from './web-socket.ts';

const RECV = Buffer.from('"method":"recv"');
const REFUSED = Buffer.from('"error"');
const REPLY = Buffer.from('"reasonCode":1');

/** The method stands right after the version, the id of a reply too. */
export function isDelivery(frame: Buffer): boolean {
  return frame.subarray(0, 40).includes(RECV);
}

/** The JSON-RPC dialect on a load socket: counts replies and deliveries. */
export class EasySocket {
  readonly #socket: LoadSocket;
  #nextId = 1;
  replies = 0;
  received = 0;
  errors = 0;
  onMessage: ((frame: Buffer) => void) | undefined;
  onReply: (() => void) | undefined;

  private constructor(socket: LoadSocket) {
    this.#socket = socket;
  }

  static async connect(port: number, uid: string): Promise<EasySocket> {
    let client: EasySocket | undefined;
    const socket = await LoadSocket.open(port, (frame) => client!.#read(frame));
    client = new EasySocket(socket);
    const params = { uid, token: '', deviceId: 'bench', deviceFlag: 1, clientTimestamp: 0 };
    client.call('connect', JSON.stringify(params));
    await new Promise<void>((resolve, reject) => {
      client.onReply = () => (client.errors > 0 ? reject(new Error('connect refused')) : resolve());
      if (socket.closed) reject(new Error('closed'));
      socket.onEnd = () => reject(new Error('closed before it was connected'));
    });
    client.onReply = undefined;
    socket.onEnd = undefined;
    client.replies = 0;
    return client;
  }

  get socket(): LoadSocket {
    return this.#socket;
  }

  call(method: string, params: string): void {
    this.#socket.send(
      `{"jsonrpc":"2.0","id":"${this.#nextId++}","method":"${method}","params":${params}}`,
    );
  }

  subscribe(channel: string): void {
    this.call('subscribe', `{"subNo":"1","channelId":"${channel}","channelType":2}`);
  }

  publish(
    channel: string,
    payloadBase64: string,
    mark: { clientMsgNo: string; noPersist: boolean },
  ): void {
    const header = mark.noPersist ? ',"header":{"noPersist":true}' : '';
    this.call(
      'send',
      `{"clientMsgNo":"${mark.clientMsgNo}","channelId":"${channel}","channelType":2,` +
        `"payload":"${payloadBase64}"${header}}`,
    );
  }

  /** Acknowledges a delivery as EasySDK does. */
  acknowledge(frame: Buffer): void {
    const at = frame.indexOf('"messageId":"') + 13;
    const id = frame.toString('latin1', at, frame.indexOf(34, at));
    const seqAt = frame.indexOf('"messageSeq":') + 13;
    const seq = Number.parseInt(frame.toString('latin1', seqAt, seqAt + 12), 10);
    this.#socket.send(
      `{"jsonrpc":"2.0","method":"recvack","params":{"messageId":"${id}","messageSeq":${seq}}}`,
    );
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(frame: Buffer): void {
    if (isDelivery(frame)) {
      this.received += 1;
      this.onMessage?.(frame);
      return;
    }
    if (frame.includes(REFUSED) || !frame.includes(REPLY)) this.errors += 1;
    this.replies += 1;
    this.onReply?.();
  }
}
