import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { group } from '../support/ids.ts';
import { message, startLoneCore } from '../support/lone-core.ts';
import { startAdmin } from './support/start.ts';

const PROGRAM = fileURLToPath(new URL('support/program.ts', import.meta.url));

test('Retention tells the rules, what was removed, and up to where a channel and its history were cut', async (t) => {
  const ruleOf = (type: number) => ({ ageMs: type === 2 ? 7_200_000 : 0, bytesMax: 1_000 });
  const node = await startLoneCore(undefined, { retention: { ruleOf } });
  t.teardown(node.stop);
  const { services, retention } = node.core;
  for (let i = 0; i < 10; i++) {
    await services.publisher.publish(message(group('g'), 'ada', 'x'.repeat(200)));
  }
  const { client, address } = await startAdmin(t, { services, retention });
  t.is((await client.retention({ channelId: 'g', channelType: 2 })).floor, null);
  await retention.judge!.pass();
  const reply = await client.retention({ channelId: 'g', channelType: 2 });
  t.deepEqual(reply.rules[1], { types: 'group', ageMs: 7_200_000, bytesMax: 1_000 });
  t.like(reply, { floorsRaised: 1, passes: 1 });
  t.like(reply.floor, { reason: 'size' });
  const history = await client.history({ channelId: 'g', channelType: 2 });
  t.is(history.cutTo, reply.floor!.seq);
  t.is(history.messages[0]!.messageSeq, reply.floor!.seq + 1);
  const args = ['--import=tsx', PROGRAM, 'retention', '--channel', 'g', '--address', address];
  const out = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, (_, text) => resolve(text));
  });
  t.regex(out, /group +2 h +1000 bytes/);
  t.regex(out, new RegExp(`g: cut up to ${reply.floor!.seq} by size`));
});
