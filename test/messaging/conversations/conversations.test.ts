import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import type { ChannelKey, MemberId, Uid } from '../../../src/core/ids.ts';
import { personChannel } from '../../../src/core/placement.ts';
import type { Conversation } from '../../../src/messaging/conversations/port.ts';
import type { NodeCore } from '../../../src/node/core.ts';
import { startCoreTrio } from '../../support/core-trio.ts';
import { group, uid } from '../../support/ids.ts';
import { message, RecordingSession, startLoneCore } from '../../support/lone-core.ts';
import { until } from '../../support/until.ts';

const [ada, ben] = [uid('ada'), uid('ben')];
const pair = personChannel(ada, ben);

async function lone(t: ExecutionContext): Promise<NodeCore> {
  const node = await startLoneCore();
  t.teardown(node.stop);
  return node.core;
}

async function send(core: NodeCore, channel: ChannelKey, from: Uid): Promise<number> {
  const sent = await core.services.publisher.publish(message(channel, from, 'hello'));
  if (!sent.ok) throw new Error(sent.message);
  return sent.value.messageSeq;
}

function of(core: NodeCore, user: Uid, channel = pair): Promise<Conversation | undefined> {
  return core.services.conversations!.one(user, channel);
}

async function unreadOf(core: NodeCore, user: Uid, channel = pair): Promise<number | undefined> {
  return (await of(core, user, channel))?.unread;
}

async function join(core: NodeCore, channel: ChannelKey, user: Uid): Promise<void> {
  const asked = { channel, uids: [user], cause: 'admin', waitFor: 'local' } as const;
  const joined = await core.services.subscriptions.subscribe(asked);
  if (!joined.ok) throw new Error(joined.message);
}

test('S4-1 F26 one send of a user nobody has seen makes channel, memberships, message and both conversations', async (t) => {
  const core = await lone(t);
  t.deepEqual((await core.services.conversations!.list(all(ben))).conversations, []);
  await send(core, pair, ada);
  const { conversations, partial } = await core.services.conversations!.list(all(ben));
  t.false(partial);
  t.deepEqual(
    conversations.map(({ channel, unread }) => ({ channel, unread })),
    [{ channel: pair, unread: 1 }],
  );
  t.is(await unreadOf(core, ada), 0);
  t.true(core.services.subscriptions.isSubscribed(pair, ada));
  t.true(core.services.subscriptions.isSubscribed(pair, ben));
});

test('S4-3 the first sync of a receiver who was offline shows it on every node', async (t) => {
  const { nodes } = await startCoreTrio(t);
  await send(nodes[0]!.core, pair, ada);
  for (const { core } of nodes) {
    await until('the conversation is there', async () => (await unreadOf(core, ben)) === 1);
  }
  t.pass();
});

test('S4-4 two who write to each other at once on two nodes have one channel and both messages', async (t) => {
  const { nodes } = await startCoreTrio(t);
  await Promise.all([send(nodes[0]!.core, pair, ada), send(nodes[1]!.core, pair, ben)]);
  for (const { core } of nodes) {
    await until('each has the other’s message unread', async () => {
      const lists = await Promise.all(
        [ada, ben].map((user) => core.services.conversations!.list(all(user))),
      );
      return lists.every(
        ({ conversations }) => conversations.length === 1 && conversations[0]!.unread === 1,
      );
    });
  }
  t.pass();
});

test('S4-7 F27 own messages are never unread, a cleared count stays cleared, a deleted conversation comes back', async (t) => {
  const core = await lone(t);
  const { conversations } = core.services;
  for (let i = 0; i < 3; i++) await send(core, pair, ada);
  await send(core, pair, ben);
  t.is(await unreadOf(core, ben), 3);
  t.is(await unreadOf(core, ada), 1);
  t.true((await conversations!.read(ben, pair)).ok);
  t.is(await unreadOf(core, ben), 0);
  // A device that was behind reads less than was read: nothing comes back.
  t.true((await conversations!.read(ben, pair, 1)).ok);
  t.is(await unreadOf(core, ben), 0);
  t.true((await conversations!.hide(ben, pair)).ok);
  t.is(await of(core, ben), undefined);
  t.is((await conversations!.list(all(ben))).conversations.length, 0);
  await send(core, pair, ada);
  t.is(await unreadOf(core, ben), 1);
  t.is(await unreadOf(core, ada), 1, 'who did not delete it has it as it was');
});

test('a message of the others counts from the subscription on, and a renewed one forgets nothing', async (t) => {
  const core = await lone(t);
  const busy = group('busy');
  await send(core, busy, ada);
  await join(core, busy, ben);
  t.is(await unreadOf(core, ben, busy), 0, 'what was there before ben came');
  await send(core, busy, ada);
  await join(core, busy, ben);
  await join(core, busy, ben);
  t.is(await unreadOf(core, ben, busy), 1);
});

test('a set count holds until more is read, and what comes after adds to it', async (t) => {
  const core = await lone(t);
  const { conversations } = core.services;
  await send(core, pair, ada);
  await conversations!.setUnread(ben, pair, 7);
  t.is(await unreadOf(core, ben), 7);
  await send(core, pair, ada);
  t.is(await unreadOf(core, ben), 8);
  await conversations!.read(ben, pair);
  t.is(await unreadOf(core, ben), 0);
  await conversations!.setUnread(ben, pair, 2);
  t.is(await unreadOf(core, ben), 2);
  await conversations!.setUnread(ben, pair, 0);
  t.is(await unreadOf(core, ben), 0);
  for (const wrong of [-1, 0.5, 2 ** 32]) {
    t.false((await conversations!.setUnread(ben, pair, wrong)).ok, String(wrong));
  }
});

test('S1-5 a device that was offline learns of a recall at its next sync, recent message or old', async (t) => {
  const core = await lone(t);
  const { conversations, recalls, history } = core.services;
  await send(core, pair, ada);
  const first = { channel: pair, startSeq: 0, endSeq: 0, limit: 1, direction: 'up' } as const;
  const [old] = (await history!.page(first)).messages;
  const { messageId } = old!;
  for (let i = 0; i < 20; i++) await send(core, pair, ada);
  await conversations!.read(ben, pair);
  const { version } = await conversations!.list(all(ben));
  const since = { ...all(ben), version };
  t.deepEqual((await conversations!.list(since)).conversations, []);
  const asked = { channel: pair, messageId, reason: 'typo' } as const;
  await recalls!.recall({ ...asked, by: ada, as: 'user' });
  const [changed] = (await conversations!.list(since)).conversations;
  t.is(changed?.unread, 0, 'it is listed although it was read and is not the newest');
  t.true(changed!.recallVersion > version);
  const told = await conversations!.recalledSince(pair, version);
  t.deepEqual(
    told.map((each) => [each.messageId, each.recall?.by, each.recall?.reason]),
    [[messageId, 'ada', 'typo']],
  );
  t.deepEqual(
    await conversations!.recalledSince(pair, changed!.version),
    [],
    'and once told no more',
  );
});

test('S1-8 a recalled unread message lowers the count and the preview says who recalled it', async (t) => {
  const core = await lone(t);
  await send(core, pair, ada);
  const sent = await core.services.publisher.publish(message(pair, ada, 'wrong'));
  if (!sent.ok) throw new Error(sent.message);
  const before = (await of(core, ben))!;
  t.is(before.unread, 2);
  const { messageId } = sent.value;
  const asked = { channel: pair, messageId, by: ada, as: 'user', reason: '' } as const;
  const recalled = await core.services.recalls!.recall(asked);
  t.true(recalled.ok);
  const after = (await of(core, ben))!;
  t.is(after.unread, 1);
  t.is(after.last.recall?.by, ada);
  t.is(after.last.payload.length, 0);
  t.true(after.version > before.version);
});

test('a list since a version holds what changed since and what is unread', async (t) => {
  const core = await lone(t);
  const { conversations } = core.services;
  const groups = ['a', 'b', 'c'].map((name) => group(name));
  for (const each of groups) {
    await join(core, each, ben);
    await send(core, each, ada);
    await conversations!.read(ben, each);
  }
  const first = await conversations!.list(all(ben));
  t.is(first.conversations.length, 3);
  const version = Math.max(...first.conversations.map((each) => each.version));
  t.deepEqual((await conversations!.list({ ...all(ben), version })).conversations, []);
  await send(core, groups[1]!, ada);
  const next = await conversations!.list({ ...all(ben), version });
  t.deepEqual(
    next.conversations.map(({ channel, unread }) => [channel, unread]),
    [[groups[1], 1]],
  );
  t.is((await conversations!.list({ ...all(ben), onlyUnread: true })).conversations.length, 1);
});

test('S4-2 a receiver who is online on another node gets the message and the conversation, unread 1', async (t) => {
  const events: { readonly at: number; readonly user: Uid; readonly data: unknown }[] = [];
  const delivered: number[] = [];
  const { nodes } = await startCoreTrio(t, {
    fanoutOf: (at) => ({
      deliver: () => void delivered.push(at),
      notify: (user, { type, data }) => {
        if (type === 'conversation.updated') events.push({ at, user, data });
      },
    }),
  });
  const [near, far] = [nodes[0]!.core, nodes[1]!.core];
  await far.services.sessions.attach(new RecordingSession('ben'));
  await send(near, pair, ada);
  await until('ben is told', () => events.length > 0);
  const told = { channelId: 'ada', channelType: 1, deleted: false, unread: 1, lastMessageSeq: 32 };
  t.is(events.length, 1, 'where ben is, and nowhere else');
  t.like(events[0], { at: 1, user: ben });
  t.like(events[0]!.data, told);
  t.true(delivered.includes(1));
  // Read elsewhere: the device here hears of it.
  await near.services.conversations!.read(ben, pair);
  await until('ben’s other device hears of it', () => events.length > 1);
  t.like(events[1]!.data, { ...told, unread: 0, readSeq: 32 });
});

test('S4-7 who leaves a group on one node is told on the other that its conversation is gone', async (t) => {
  const events: { readonly at: number; readonly user: Uid; readonly data: unknown }[] = [];
  const { nodes } = await startCoreTrio(t, {
    fanoutOf: (at) => ({
      deliver: () => {},
      notify: (user, { type, data }) => {
        if (type === 'conversation.updated') events.push({ at, user, data });
      },
    }),
  });
  const [near, far] = [nodes[0]!.core, nodes[1]!.core];
  const room = group('room');
  await join(near, room, ben);
  await send(near, room, ada);
  await until('it is there', async () => (await unreadOf(far, ben, room)) === 1);
  await far.services.sessions.attach(new RecordingSession('ben'));
  const asked = { channel: room, uids: [ben], cause: 'admin', waitFor: 'local' } as const;
  t.true((await near.services.subscriptions.unsubscribe(asked)).ok);
  await until('ben is told', () => events.length > 0);
  t.is(events.length, 1, 'where ben is, and nowhere else');
  t.like(events[0], { at: 1, user: ben, data: { channelId: 'room', channelType: 2 } });
  t.like(events[0]!.data, { deleted: true, unread: 0 });
});

test('S4-7 the digest of a list since a version tells what is in no list of changes: deletions and leaving', async (t) => {
  const core = await lone(t);
  const conversations = core.services.conversations!;
  const room = group('room');
  await join(core, room, ben);
  await send(core, room, ada);
  await send(core, pair, ada);
  const digest = async (version: number): Promise<string> => {
    const asked = { uid: ben, version, onlyUnread: false, isCompared: true };
    return (await conversations.list(asked)).digest;
  };
  const { version, digest: unasked } = await conversations.list(all(ben));
  t.is(unasked, '');
  const digests = [await digest(0)];
  t.true(digests[0]!.startsWith('2-'));
  t.is(await digest(version), digests[0]!);
  await conversations.read(ben, pair);
  digests.push(await digest(version));
  await conversations.hide(ben, pair);
  digests.push(await digest(version));
  const asked = { channel: room, uids: [ben], cause: 'admin', waitFor: 'local' } as const;
  t.true((await core.services.subscriptions.unsubscribe(asked)).ok);
  digests.push(await digest(version));
  t.is(new Set(digests).size, 4);
  t.is(digests.at(-1), '0-0');
  t.is(await digest(0), '0-0');
});

test('a message that comes late, with a lower number than what was read, counts as unread', async (t) => {
  const { nodes, network } = await startCoreTrio(t);
  const [near, far] = [nodes[0]!.core, nodes[1]!.core];
  await send(near, pair, ada);
  await until('the far node has it', async () => (await unreadOf(far, ben)) === 1);
  network.partition('node-1' as MemberId, 'node-2' as MemberId);
  network.partition('node-3' as MemberId, 'node-2' as MemberId);
  // The far side numbers one below what the near side reads meanwhile.
  await send(far, pair, ada);
  for (let i = 0; i < 3; i++) await send(near, pair, ada);
  await near.services.conversations!.read(ben, pair);
  t.is(await unreadOf(near, ben), 0);
  network.heal();
  for (const { core } of nodes) {
    await until('the late one is unread', async () => (await unreadOf(core, ben)) === 1);
  }
});

test('what is remembered is what would be derived, after any history of writes', async (t) => {
  const step = fc.record({
    do: fc.constantFrom('send', 'send', 'read', 'hide', 'set', 'join'),
    who: fc.constantFrom(ada, ben),
    at: fc.nat(6),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      const node = await startLoneCore();
      const { core } = node;
      const { conversations } = core.services;
      // Of ben: messages of ada above what he read, beside what a set count says.
      let [unread, head, read, hidden] = [0, 0, 0, 0];
      for (const { do: what, who, at } of steps) {
        if (what === 'send') {
          head = await send(core, pair, who);
          if (who === ada) unread += 1;
        } else if (head > 0 && what === 'read' && at === 0) {
          await conversations!.read(ben, pair);
          [unread, read] = [0, head];
        } else if (head > 0 && what === 'hide') {
          await conversations!.hide(ben, pair);
          [unread, read, hidden] = [0, head, head];
        } else if (head > 0 && what === 'set' && at > 0) {
          await conversations!.setUnread(ben, pair, at);
          unread = at;
        } else if (head > 0 && what === 'join') {
          await join(core, pair, ben);
        }
        const one = await of(core, ben);
        const expected = head > hidden ? { unread, readSeq: read } : undefined;
        t.deepEqual(one && { unread: one.unread, readSeq: one.readSeq }, expected);
      }
      await node.stop();
    }),
    { numRuns: 60 },
  );
});

function all(user: Uid) {
  return { uid: user, version: 0, onlyUnread: false };
}

test('unread messages that name the user are counted, until they are read or recalled', async (t) => {
  const core = await lone(t);
  const { publisher, conversations, recalls } = core.services;
  const say = async (content: string): Promise<bigint> => {
    const sent = await publisher.publish(message(pair, 'ada', content));
    return sent.ok ? sent.value.messageId : 0n;
  };
  const mentions = async (user: Uid) => (await of(core, user))?.mentions;
  await say(JSON.stringify({ type: 1, content: 'hi', mention: { uids: ['ben', 'cid'] } }));
  const all = await say(JSON.stringify({ type: 1, content: 'hi all', mention: { all: 1 } }));
  const nobody = ['"mention" is no JSON', '{"mention":null}', '{"mention":{"uids":"ben"}}', 'null'];
  for (const content of [...nobody, '{"mention":{"uids":["cid"]}}', '{"content":"ben"}']) {
    await say(content);
  }
  t.deepEqual([await mentions(ben), await unreadOf(core, ben)], [2, 8]);
  t.is(await mentions(ada), 0, 'what one said oneself');
  await recalls!.recall({ channel: pair, messageId: all, by: ada, as: 'user', reason: '' });
  t.is(await mentions(ben), 1);
  await conversations!.read(ben, pair);
  t.is(await mentions(ben), 0);
});
