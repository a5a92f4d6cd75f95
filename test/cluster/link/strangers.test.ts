import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  status,
  type ServerDuplexStream,
} from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { encodePeerMessage } from '../../../src/cluster/link/codec.ts';
import {
  CHALLENGE,
  connectMethod,
  OPENING,
  peersService,
  PROOF,
  WELCOME,
  type Envelope,
} from '../../../src/cluster/link/envelope.ts';
import { GrpcPeerTransport } from '../../../src/cluster/link/grpc-transport.ts';
import {
  decodeBytes,
  encodeBytes,
  encodeOpening,
  macOf,
  type Opening,
} from '../../../src/cluster/link/handshake.ts';
import type { MemberId } from '../../../src/core/ids.ts';
import { silentLog } from '../../../src/observability/log.ts';
import { systemRuntime } from '../../../src/runtime/system.ts';
import { listen, type TestPeer } from '../../support/links.ts';
import { member } from '../../support/members.ts';
import { until } from '../../support/until.ts';

const SECRET = 'the secret of the tests';
const [A, B] = ['a' as MemberId, 'b' as MemberId];

/** Speaks the wire by hand. */
interface ByHand {
  readonly received: Envelope[];
  readonly ended: { code: status; details: string }[];
  write(kind: number, payload: Uint8Array): void;
}

function byHand(t: ExecutionContext, peer: TestPeer): ByHand {
  const client = new Client(peer.member.peerAddress, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  t.teardown(() => client.close());
  const { path, requestSerialize, responseDeserialize } = connectMethod;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  const received: Envelope[] = [];
  const ended: ByHand['ended'] = [];
  call.on('data', (envelope: Envelope) => void received.push(envelope));
  call.on('error', () => {});
  call.on('status', ({ code, details }: { code: status; details: string }) => {
    ended.push({ code, details });
  });
  return { received, ended, write: (kind, payload) => void call.write({ kind, payload }) };
}

const openingOf = (more: Partial<Opening> = {}): Opening => ({
  ...{ cluster: 'test', opener: A, acceptor: B, nonce: randomBytes(32) },
  ...more,
});

async function prove(hand: ByHand, opening: Opening, secret = SECRET): Promise<Uint8Array> {
  hand.write(OPENING, encodeOpening(opening));
  const challenge = await until('a challenge', () => hand.received[0]);
  const answer = decodeBytes(challenge.payload, 1)![0]!;
  const proof = encodeBytes([macOf(secret, 'opener', { ...opening, answer })]);
  hand.write(PROOF, proof);
  return proof;
}

async function refusedAsStranger(t: ExecutionContext, hand: ByHand, b: TestPeer): Promise<void> {
  await until('the call is over', () => hand.ended.length === 1);
  t.deepEqual(hand.ended[0], {
    code: status.UNAUTHENTICATED,
    details: 'the secret of the cluster was not proved',
  });
  t.true(
    hand.received.every(({ kind }) => kind === CHALLENGE),
    'nothing else was told',
  );
  t.deepEqual(b.accepted, []);
  t.is(b.transport.counters().strangersRefused, 1);
  t.regex(b.log[0]!, /stranger refused .*"from":"127\.0\.0\.1:\d+"/);
}

test('the right proof is answered by a proof, and only then there is a link', async (t) => {
  const b = await listen(t, 'b');
  const hand = byHand(t, b);
  const opening = openingOf();
  await prove(hand, opening);
  const welcome = await until('a welcome', () => hand.received[1]);
  t.is(welcome.kind, WELCOME);
  const answer = decodeBytes(hand.received[0]!.payload, 1)![0]!;
  t.deepEqual(
    Buffer.from(decodeBytes(welcome.payload, 1)![0]!),
    Buffer.from(macOf(SECRET, 'acceptor', { ...opening, answer })),
  );
  t.is(b.accepted[0]!.link.peer, A);
});

test('a wrong secret is refused on both sides, with a counter and a line', async (t) => {
  const [a, b] = [await listen(t, 'a', { secrets: ['another'] }), await listen(t, 'b')];
  await t.throwsAsync(a.dial(b), { code: 'UNAUTHENTICATED' });
  t.deepEqual(b.accepted, []);
  t.is(b.transport.counters().strangersRefused, 1);
  t.regex(b.log[0]!, /stranger refused/);
  t.regex(a.log[0]!, /do not prove one secret .*"peer":"b"/);
  t.false([...a.log, ...b.log].some((line) => line.includes(SECRET) || line.includes('another')));
});

test('secrets rotate with two valid at once', async (t) => {
  const [old, both, next] = [
    await listen(t, 'old', { secrets: ['one'] }),
    await listen(t, 'both', { secrets: ['two', 'one'] }),
    await listen(t, 'next', { secrets: ['two'] }),
  ];
  for (const [from, to] of [
    [old, both],
    [both, old],
    [both, next],
    [next, both],
  ] as const) {
    await t.notThrowsAsync(from.dial(to));
  }
  await t.throwsAsync(old.dial(next), { code: 'UNAUTHENTICATED' });
});

test('a replayed proof is refused', async (t) => {
  const b = await listen(t, 'b');
  const first = byHand(t, b);
  const opening = openingOf();
  const proof = await prove(first, opening);
  await until('it was accepted once', () => b.accepted.length === 1);
  b.accepted.length = 0;
  const second = byHand(t, b);
  second.write(OPENING, encodeOpening(opening));
  await until('a challenge', () => second.received[0]);
  second.write(PROOF, proof);
  await refusedAsStranger(t, second, b);
});

test('a proof of the other direction, of other ids or of another cluster proves nothing', async (t) => {
  const wrong: ((opening: Opening, answer: Uint8Array) => Uint8Array)[] = [
    (opening, answer) => macOf(SECRET, 'acceptor', { ...opening, answer }),
    (opening, answer) => macOf(SECRET, 'opener', { ...opening, opener: 'c' as MemberId, answer }),
    (opening, answer) => macOf(SECRET, 'opener', { ...opening, acceptor: A, answer }),
    (opening, answer) => macOf(SECRET, 'opener', { ...opening, cluster: 'other', answer }),
    (opening, answer) => macOf(SECRET, 'opener', { ...opening, nonce: answer, answer }),
  ];
  for (const mac of wrong) {
    const b = await listen(t, 'b');
    const hand = byHand(t, b);
    const opening = openingOf();
    hand.write(OPENING, encodeOpening(opening));
    const challenge = await until('a challenge', () => hand.received[0]);
    hand.write(PROOF, encodeBytes([mac(opening, decodeBytes(challenge.payload, 1)![0]!)]));
    await refusedAsStranger(t, hand, b);
  }
});

test('whatever else comes instead of the handshake is refused', async (t) => {
  const hello = encodePeerMessage({ type: 'interest-wanted' });
  const attempts: ((hand: ByHand) => void)[] = [
    (hand) => hand.write(hello.kind, hello.payload),
    (hand) => hand.write(OPENING, randomBytes(100)),
    (hand) => hand.write(OPENING, encodeOpening(openingOf({ nonce: randomBytes(8) }))),
    (hand) => hand.write(OPENING, encodeOpening(openingOf({ opener: 'no id' as MemberId }))),
    (hand) => hand.write(PROOF, encodeBytes([randomBytes(32)])),
    (hand) => {
      hand.write(OPENING, encodeOpening(openingOf()));
      hand.write(hello.kind, hello.payload);
    },
    (hand) => {
      hand.write(OPENING, encodeOpening(openingOf()));
      hand.write(PROOF, encodeBytes(Array.from({ length: 99 }, () => randomBytes(32))));
    },
    (hand) => {
      hand.write(OPENING, encodeOpening(openingOf()));
      hand.write(PROOF, randomBytes(50));
    },
  ];
  for (const attempt of attempts) {
    const b = await listen(t, 'b');
    const hand = byHand(t, b);
    attempt(hand);
    await refusedAsStranger(t, hand, b);
  }
});

test('an acceptor that proves nothing gets no link and no message', async (t) => {
  for (const welcome of [
    encodeBytes([randomBytes(32)]),
    randomBytes(20),
    encodeBytes([macOf('wrong', 'acceptor', { ...openingOf(), answer: randomBytes(32) })]),
  ]) {
    const got: number[] = [];
    const server = new Server();
    server.addService(peersService, {
      Connect: (call: ServerDuplexStream<Envelope, Envelope>) => {
        call.on('error', () => {});
        call.on('data', ({ kind }: Envelope) => {
          got.push(kind);
          if (kind === OPENING) {
            call.write({ kind: CHALLENGE, payload: encodeBytes([randomBytes(32)]) });
          } else call.write({ kind: WELCOME, payload: welcome });
        });
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      const insecure = ServerCredentials.createInsecure();
      server.bindAsync('127.0.0.1:0', insecure, (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    t.teardown(() => server.forceShutdown());
    const a = await listen(t, 'a');
    const impostor = { member: member('b', 1, `127.0.0.1:${port}`) };
    await t.throwsAsync(a.dial(impostor), { code: 'UNAUTHENTICATED' });
    t.deepEqual(got, [OPENING, PROOF]);
  }
});

test('a peer of another cluster, for another member, or with this id is refused with the reason', async (t) => {
  const b = await listen(t, 'b');
  const refused = async (dialler: TestPeer, id: string): Promise<string> => {
    const target = { member: member(id, 1, b.member.peerAddress) };
    const error = await t.throwsAsync(dialler.dial(target), { code: 'REFUSED' });
    return error.message;
  };
  const other = await listen(t, 'a', { cluster: 'other' });
  t.regex(await refused(other, 'b'), /this is cluster test, not other/);
  t.regex(await refused(await listen(t, 'a'), 'c'), /this is member b, not c/);
  t.regex(await refused(await listen(t, 'b'), 'b'), /b is the id of this member itself/);
  t.deepEqual(b.accepted, []);
  t.is(b.transport.counters().peersRefused, 3);
  t.is(b.transport.counters().strangersRefused, 0);
});

test('a connection that proves nothing is cut in time, whatever it says', async (t) => {
  const b = await listen(t, 'b', { strangerMs: 600 });
  const { port } = b.transport.address()!;
  const silent = await tcp(t, port);
  const half = byHand(t, b);
  half.write(OPENING, encodeOpening(openingOf()));
  await until('silence is cut', () => silent.closed);
  await until('the half-open call is cut', () => half.ended.length === 1);
  t.is(b.transport.counters().strangersRefused, 2);
  t.regex(b.log[0]!, /no proof within 600 ms/);
  const a = await listen(t, 'a');
  const { link, heard } = await a.dial(b);
  await new Promise((resolve) => setTimeout(resolve, 800));
  t.deepEqual(heard.closed, [], 'who proved it stays');
  link.close('done');
});

test('only so many strangers at once; peers get in again when they are gone', async (t) => {
  const b = await listen(t, 'b', { strangersMax: 8, strangerMs: 2_000 });
  const { port } = b.transport.address()!;
  const crowd = await Promise.all(Array.from({ length: 20 }, () => tcp(t, port)));
  await until(
    'the rest is cut at once',
    () => crowd.filter(({ closed }) => closed).length >= 12,
    1_500,
  );
  t.is(crowd.filter(({ closed }) => closed).length, 12);
  t.true(b.log.length <= 2, 'the log is not flooded');
  const a = await listen(t, 'a');
  await t.throwsAsync(a.dial(b));
  await until('all are cut', () => crowd.every(({ closed }) => closed));
  await t.notThrowsAsync(a.dial(b));
});

test('garbage on the port harms nobody', async (t) => {
  const b = await listen(t, 'b');
  const { link, heard } = await (await listen(t, 'a')).dial(b);
  const { port } = b.transport.address()!;
  for (const garbage of [
    randomBytes(5_000),
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), randomBytes(2_000)]),
  ]) {
    const stranger = await tcp(t, port);
    stranger.socket.write(garbage);
    await until('it is cut', () => stranger.closed, 5_000);
  }
  t.true(link.send({ type: 'interest-wanted' }));
  await until('the link works', () => b.accepted[0]!.heard.messages.length === 1);
  t.deepEqual(heard.closed, []);
});

test('a malformed message of a peer closes its link with the reason, and is counted', async (t) => {
  const b = await listen(t, 'b');
  const hand = byHand(t, b);
  await prove(hand, openingOf());
  await until('a link', () => b.accepted.length === 1);
  hand.write(3, randomBytes(30));
  const { heard } = b.accepted[0]!;
  await until('closed', () => heard.closed.length === 1);
  t.regex(heard.closed[0]!, /^malformed message: operations: /);
  t.deepEqual(heard.messages, []);
  t.is(b.transport.counters().malformedMessages, 1);
  await until('the peer is told', () => hand.ended.length === 1);
});

test('without a secret peers are accepted on loopback, and nowhere else', async (t) => {
  const [a, b] = [await listen(t, 'a', { secrets: [] }), await listen(t, 'b', { secrets: [] })];
  await t.notThrowsAsync(a.dial(b));
  const bare = { self: A, cluster: 'test', port: 0, log: silentLog, runtime: systemRuntime };
  for (const host of ['0.0.0.0', '::', '192.168.0.1', '127.0.0.1.example.org']) {
    t.throws(() => new GrpcPeerTransport({ ...bare, host, secrets: [] }), { code: 'INSECURE' });
  }
  t.throws(() => new GrpcPeerTransport({ ...bare, host: '::1', secrets: [''] }), {
    code: 'INSECURE',
  });
  await t.throwsAsync(a.dial(await listen(t, 'c')), { code: 'UNAUTHENTICATED' });
});

async function tcp(
  t: ExecutionContext,
  port: number,
): Promise<{ readonly socket: Socket; readonly closed: boolean }> {
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  const state = { socket, closed: false };
  socket.on('error', () => {});
  socket.on('close', () => (state.closed = true));
  socket.resume();
  await new Promise((resolve) => socket.once('connect', resolve));
  return state;
}
