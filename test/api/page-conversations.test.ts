import test from 'ava';

interface Shown {
  readonly seq?: number;
  readonly text?: string;
  readonly recall?: object;
}

interface Known {
  readonly messages: Shown[];
  readonly unread: number;
  readonly more: boolean;
  readonly last?: Shown;
}

/** What the page keeps of conversations; plain JavaScript, as the browser loads it. */
interface Model {
  need(key: string): Known;
  take(row: object): Known;
  receive(message: object): Known;
  renew(): void;
  takePage(one: Known, page: object, fromSeq: number): void;
  recalled(event: object): void;
  insert(one: Known, message: object): boolean;
  confirm(one: Known, message: object, fields: object): void;
  forgetOthers(listed: readonly object[]): void;
  list(): { readonly key: string }[];
}

const source = new URL('../../src/api/page/conversations.js', import.meta.url);
const { Conversations } = (await import(source.href)) as {
  readonly Conversations: new (uid: string) => Model;
};

const TEAM = { channelId: 'team', channelType: 2 };

function said(messageSeq: number, more: object = {}): object {
  const [messageId, clientMsgNo] = [String(1000 + messageSeq), `no-${messageSeq}`];
  const rest = { fromUid: 'bob', timestamp: 1_795_000_000 + messageSeq, text: `m${messageSeq}` };
  return { ...TEAM, messageId, messageSeq, clientMsgNo, ...rest, ...more };
}

function page(from: number, to: number): object {
  const messages = Array.from({ length: to - from + 1 }, (_, k) => said(from + k));
  return { messages, more: from > 1 };
}

const seqs = (one: Known): (number | undefined)[] => one.messages.map(({ seq }) => seq);

test('page: pages and live messages make one list, in the order of their numbers, each once', (t) => {
  const model = new Conversations('ann');
  const one = model.receive(said(7));
  model.takePage(one, page(5, 7), 0);
  model.receive(said(9));
  model.receive(said(8));
  model.takePage(one, page(3, 4), 4);
  t.deepEqual(seqs(one), [3, 4, 5, 6, 7, 8, 9]);
  t.true(one.more);
  model.takePage(one, page(1, 2), 2);
  t.false(one.more);
  t.is(one.unread, 3);
  t.is(one.last?.seq, 9);
});

test('page: what is apart from the newest page after a loss goes, for a hole would not show', (t) => {
  const model = new Conversations('ann');
  const one = model.need('2/team');
  model.takePage(one, page(1, 5), 0);
  model.renew();
  model.receive(said(41));
  model.takePage(one, page(12, 41), 0);
  t.is(seqs(one)[0], 12);
  t.true(one.more);
  model.renew();
  model.takePage(one, page(20, 43), 0);
  t.is(seqs(one)[0], 12);
  t.is(seqs(one).length, 32);
});

test('page: an own message is confirmed in its place and is no second one', (t) => {
  const model = new Conversations('ann');
  const one = model.need('2/team');
  const mine = { no: 'no-6', own: true, fromUid: 'ann', timestamp: 1_795_000_005, text: 'mine' };
  t.true(model.insert(one, mine));
  model.receive(said(5));
  model.receive(said(7));
  model.confirm(one, mine, { id: '1006', seq: 6 });
  model.receive(said(6, { fromUid: 'ann' }));
  t.deepEqual(seqs(one), [5, 6, 7]);
  t.is(one.unread, 2);
});

test('page: a recall counts once, takes the text from list and preview, and is no unread message', (t) => {
  const model = new Conversations('ann');
  const one = model.take({ ...TEAM, last: said(3), unread: 2, readSeq: 1, recalls: [] });
  model.receive(said(4));
  t.is(one.unread, 3);
  const event = { ...TEAM, messageId: '1004', messageSeq: 4, fromUid: 'bob', by: 'bob' };
  for (let times = 0; times < 2; times++) model.recalled({ ...event, role: 'sender' });
  t.is(one.unread, 2);
  t.like(one.messages[0], { text: '', recall: { by: 'bob', role: 'sender' } });
  t.is(one.last?.text, '');
  model.recalled({ ...event, channelId: 'other' });
  t.is(model.list().length, 1);
});

test('a private chat that was deleted on another device goes; what is not sent yet, and groups, stay', (t) => {
  const model = new Conversations('ann');
  const [eve, dan] = ['eve', 'dan'].map((channelId) => ({ channelId, channelType: 1 }));
  model.receive(said(1, eve));
  model.receive(said(2, dan));
  model.receive(said(3));
  model.need('1/fay');
  model.insert(model.need('1/dan'), { text: 'waits', own: true, no: 'x', rank: 9, timestamp: 1 });
  model.forgetOthers([]);
  t.deepEqual(
    model
      .list()
      .map(({ key }) => key)
      .toSorted(),
    ['1/dan', '1/fay', '2/team'],
  );
  model.receive(said(4, eve));
  model.forgetOthers([eve!]);
  t.is(model.list().length, 4);
});
