import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { AdminCallError } from '../../src/admin/client.ts';
import { group } from '../support/ids.ts';
import { message, startLoneCore } from '../support/lone-core.ts';
import { until } from '../support/until.ts';
import { endpoint, FakeReceiver } from '../webhooks/receiver.ts';
import { startAdmin } from './support/start.ts';

const PROGRAM = fileURLToPath(new URL('support/program.ts', import.meta.url));

async function startNode(t: ExecutionContext) {
  const receiver = new FakeReceiver();
  receiver.answer = () => 400;
  const node = await startLoneCore(undefined, {
    webhookSender: receiver,
    webhooks: {
      endpoints: [endpoint({ events: ['msg.notify'] })],
      refusalsMax: 1,
      backoffMinMs: 1,
    },
  });
  t.teardown(node.stop);
  const { services, webhooks } = node.core;
  const { client, address } = await startAdmin(t, { services, webhooks });
  const send = async (text: string): Promise<string> => {
    const outcome = await services.publisher.publish(message(group('g'), 'ada', text));
    if (!outcome.ok) throw new Error(outcome.message);
    return `msg.notify:${outcome.value.messageId}`;
  };
  const run = (args: readonly string[]): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      const all = ['--import=tsx', PROGRAM, ...args, '--address', address];
      execFile(process.execPath, all, (error, out, err) =>
        resolve({ code: error ? Number(error.code) : 0, out, err }),
      );
    });
  return { client, send, run, receiver };
}

test('dead letters are listed in pages and replayed, over gRPC and by the command line', async (t) => {
  const { client, send, run, receiver } = await startNode(t);
  const ids = [await send('1'), await send('2'), await send('3')].toSorted();
  await until('all were given up', async () => (await client.webhooks()).endpoints[0]!.dead === 3);
  const { endpoints, node } = await client.webhooks();
  t.is(node, 'n1');
  t.like(endpoints[0], { name: 'main', waiting: 0, delivered: 0, lastError: 'status 400' });
  const first = await client.deadLetters({ endpoint: 'main', limit: 2 });
  t.deepEqual(
    first.letters.map(({ id }) => id),
    ids.slice(0, 2),
  );
  const second = await client.deadLetters({ endpoint: 'main', limit: 2, after: first.next });
  t.deepEqual(
    second.letters.map(({ id }) => id),
    ids.slice(2),
  );
  t.is(second.next, '');
  const dead = await run(['webhooks', 'dead', '--endpoint', 'main', '--json']);
  t.deepEqual(
    dead.out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { id: string }).id),
    ids,
  );
  receiver.answer = () => 200;
  const one = await run(['webhooks', 'replay', ids[1]!, '--endpoint', 'main', '--json']);
  t.deepEqual(JSON.parse(one.out), { replayed: 1 });
  await until('it was told', () => receiver.ids('msg.notify').length === 1);
  t.deepEqual(await client.replayDeadLetters({ endpoint: 'main', all: true }), { replayed: 2 });
  await until('the others were told', () => receiver.ids('msg.notify').length === 3);
  const ls = await run(['webhooks', 'ls']);
  t.regex(ls.out, /main +0 +0 +0 +3 +\d+ +0 +ok/);
});

test('what cannot be is said: no such receiver, ids and all, no receivers at all', async (t) => {
  const { client, run } = await startNode(t);
  const codeOf = async (call: Promise<unknown>): Promise<string> => {
    const error = await t.throwsAsync<AdminCallError>(call);
    return error.code;
  };
  t.is(await codeOf(client.deadLetters({ endpoint: 'nobody' })), 'NOT_FOUND');
  t.is(await codeOf(client.deadLetters({ endpoint: 'main', limit: 9_999 })), 'INVALID_ARGUMENT');
  t.is(await codeOf(client.replayDeadLetters({ endpoint: 'main' })), 'INVALID_ARGUMENT');
  const both = client.replayDeadLetters({ endpoint: 'main', ids: ['a'], all: true });
  t.is(await codeOf(both), 'INVALID_ARGUMENT');
  t.is((await run(['webhooks', 'replay', '--endpoint', 'main'])).code, 2);
  const bare = await startAdmin(t, {});
  t.is(await codeOf(bare.client.webhooks()), 'FAILED_PRECONDITION');
});
