import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { AdminCallError } from '../../src/admin/client.ts';
import { personChannel } from '../../src/core/placement.ts';
import { group, uid } from '../support/ids.ts';
import { message, startLoneCore } from '../support/lone-core.ts';
import { startAdmin } from './support/start.ts';

const PROGRAM = fileURLToPath(new URL('support/program.ts', import.meta.url));

/** The service over a node's own core, and its command line. */
async function startNode(t: ExecutionContext) {
  const node = await startLoneCore();
  t.teardown(node.stop);
  const { services } = node.core;
  const { client, address } = await startAdmin(t, { services });
  const send = async (to: string, text: string): Promise<string> => {
    const channel = to === 'g' ? group('g') : personChannel(uid('ada'), uid(to));
    const outcome = await services.publisher.publish(message(channel, 'ada', text));
    if (!outcome.ok) throw new Error(outcome.message);
    return String(outcome.value.messageId);
  };
  const run = (args: readonly string[]): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      const all = ['--import=tsx', PROGRAM, ...args, '--address', address];
      execFile(process.execPath, all, (error, out, err) =>
        resolve({ code: error ? Number(error.code) : 0, out, err }),
      );
    });
  return { client, send, run };
}

const g = { channelId: 'g', channelType: 2 };

test('History, Recall and Conversations over gRPC', async (t) => {
  const { client, send } = await startNode(t);
  for (const text of ['1', '2', '3']) await send('g', text);
  const id = await send('ben', 'secret');
  const newest = await client.history({ ...g, limit: 2 });
  t.deepEqual(
    newest.messages.map(({ payload }) => Buffer.from(payload).toString()),
    ['2', '3'],
  );
  t.is(newest.nextSeq, 1);
  t.like(newest.messages[0], { messageSeq: 2, fromUid: 'ada', recall: null });
  const up = await client.history({ ...g, startSeq: 2, oldestFirst: true });
  t.deepEqual(
    up.messages.map(({ messageSeq }) => messageSeq),
    [2, 3],
  );
  const person = { channelId: 'ben', channelType: 1, uid: 'ada' };
  t.is((await client.history(person)).messages[0]!.messageId, id);
  const wanted = { ...person, messageId: id, by: 'mod', reason: 'rude' };
  t.like(await client.recall(wanted), { messageId: id, alreadyRecalled: false, disks: 1 });
  t.like(await client.recall(wanted), { alreadyRecalled: true });
  const { conversations, next } = await client.conversations({ uid: 'ben' });
  t.like(conversations[0], { channelId: 'ada', channelType: 1, unread: 0 });
  t.like(conversations[0]!.last, { payload: Buffer.alloc(0), recall: { by: 'mod', role: 'api' } });
  t.is(next, '');
});

test('conversations in pages', async (t) => {
  const { client, send } = await startNode(t);
  const names = ['u1', 'u2', 'u3'];
  for (const name of names) await send(name, 'hi');
  const seen: string[] = [];
  let after = '';
  do {
    const page = await client.conversations({ uid: 'ada', limit: 2, after });
    seen.push(...page.conversations.map(({ channelId }) => channelId));
    after = page.next;
  } while (after !== '');
  t.deepEqual(seen.toSorted(), names);
});

test('S1-3 what was wrong is named, and a message that is not there is NOT_FOUND', async (t) => {
  const { client } = await startNode(t);
  const missing = client.recall({ ...g, messageId: '4000000000000000001' });
  t.like(await t.throwsAsync<AdminCallError>(missing), { code: 'NOT_FOUND', reason: 101 });
  const cases = [
    ['limit', client.history({ ...g, limit: 1_001 })],
    ['channel_id', client.history({ channelId: 'b@a', channelType: 1 })],
    ['channel_type', client.history({ channelId: 'g', channelType: 12 })],
    ['message_id', client.recall(g)],
    ['message_id', client.recall({ ...g, messageId: '1e5' })],
    ['reason', client.recall({ ...g, messageId: '1', reason: 'x'.repeat(257) })],
    ['by', client.recall({ ...g, messageId: '1', by: 'a@b' })],
    ['uid', client.conversations({})],
    ['after', client.conversations({ uid: 'u', after: 'nonsense' })],
  ] as const;
  for (const [field, call] of cases) {
    t.like(await t.throwsAsync<AdminCallError>(call), { code: 'INVALID_ARGUMENT', field });
  }
});

test('a node that keeps nothing says so', async (t) => {
  const { client } = await startAdmin(t);
  const error = await t.throwsAsync<AdminCallError>(client.history(g));
  t.is(error.code, 'UNIMPLEMENTED');
});

test('history, recall and conversations on the command line', async (t) => {
  const { send, run } = await startNode(t);
  const id = await send('g', 'hello \u001b[31m');
  await send('ben', 'hi ben');
  const place = ['--channel', 'g'];
  const shown = await run(['history', ...place]);
  t.is(shown.code, 0, shown.err);
  t.regex(shown.out, /^seq +message id +sent \(UTC\) +from +payload\n/);
  t.regex(shown.out, new RegExp(`1 +${id} .* ada +hello \\?\\[31m\n`));
  const recalled = await run(['recall', ...place, '--id', id, '--by', 'mod', '--reason', 'rude']);
  t.regex(recalled.out, new RegExp(`^${id} \\(seq 1\\) recalled, disks 1 by mod at 20`));
  t.regex((await run(['history', ...place])).out, /\(recalled by mod\)/);
  const [line] = (await run(['history', ...place, '--json'])).out.split('\n');
  t.like(JSON.parse(line!), { messageId: id, payload: '', recall: { reason: 'rude' } });
  const [one] = (await run(['conversations', '--uid', 'ben', '--json'])).out.split('\n');
  const payload = Buffer.from('hi ben').toString('base64');
  t.like(JSON.parse(one!), { channelId: 'ada', unread: 1, last: { payload } });
  t.regex((await run(['conversations', '--uid', 'ben'])).out, /1 +ada +1 .* ada +hi ben\n/);
  const wrong = await run(['recall', ...place]);
  t.is(wrong.code, 2);
  t.regex(wrong.err, /give --id, or --from/);
  const gone = await run(['recall', ...place, '--id', '4000000000000000001']);
  t.is(gone.code, 1);
  t.regex(gone.err, /no such message in this channel \(NOT_FOUND\)/);
});
