import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { WebSocketServer } from 'ws';
import { startCluster } from '../support/cluster.ts';
import { allLinked } from '../support/integration.ts';
import { until } from '../support/until.ts';

test.serial(
  'F13 a node that was stopped for a while does not tell as offline whom another has by now',
  async (t) => {
    t.timeout(240_000);
    const told: string[] = [];
    const take = async (request: IncomingMessage): Promise<void> => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const isStatus = request.url!.includes('user.onlinestatus');
      if (isStatus) told.push(...(JSON.parse(Buffer.concat(chunks).toString()) as string[]));
    };
    const receiver = createServer((request, response) => {
      void take(request).then(() => response.end('ok'));
    });
    const framework = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      receiver.closeAllConnections();
      receiver.close();
      for (const socket of framework.clients) socket.terminate();
      framework.close();
    });
    const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
    const url = `http://127.0.0.1:${portOf(receiver)}/hook`;
    const config = {
      connections: { takeover_seconds: 4 },
      webhooks: { endpoints: [{ name: 'backend', url }], secret: 'secret-of-the-test-of-status' },
    };
    const cluster = await startCluster(t, { nodes: 3, etcd: false, config });
    await allLinked(cluster);
    const target = JSON.stringify({ uid: 'botty', url: `ws://127.0.0.1:${portOf(framework)}/` });
    await cluster.admin(1).createConnection({ id: 'bridge', kind: 'onebot-reverse', target });
    const standing = async () => (await cluster.admin(2).connection({ id: 'bridge' })).standing!;
    await until('it is open', async () => (await standing()).state === 'CONNECTED', 30_000);
    cluster.pause(1);
    await until(
      'another has it',
      async () => {
        const { owner, state } = await standing();
        return owner !== 'node-1' && state === 'CONNECTED';
      },
      60_000,
    );
    const before = told.length;
    cluster.resume(1);
    await allLinked(cluster);
    const isEnd = (text: string) => /^botty-\d+-0-/.test(text);
    await until('its end was told', () => told.slice(before).some(isEnd), 60_000);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    t.log(told.join(' '));
    const later = told.slice(before);
    t.deepEqual(
      later.filter((text) => text.endsWith('-0-0')),
      [],
    );
    t.regex(told.at(-1)!, /-[1-9]-[1-9]$/);
  },
);
