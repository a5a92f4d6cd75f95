import { Agent, request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

const TIMEOUT_MS = 5_000;

/** POSTs JSON over connections that are kept. Undefined: no answer, for whatever reason. */
export class Caller {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  post(base: string, path: string, body: object): Promise<Answer | undefined> {
    return new Promise((resolve) => {
      const call = request(
        base + path,
        { method: 'POST', agent: this.#agent, timeout: TIMEOUT_MS },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', () => resolve(undefined));
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            resolve({ status: response.statusCode ?? 0, text });
          });
        },
      );
      call.on('timeout', () => call.destroy());
      call.on('error', () => resolve(undefined));
      call.on('close', () => resolve(undefined));
      call.end(JSON.stringify(body));
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
