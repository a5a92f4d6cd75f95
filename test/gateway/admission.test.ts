import test from 'ava';
import { admitUpgrade } from '../../src/gateway/admission.ts';
import { fullBucket, refill } from '../../src/gateway/session/rate.ts';

test('a bucket fills at its rate, in steps of any size, and never over two seconds of it', (t) => {
  t.is(fullBucket(3), 6);
  t.is(refill(6, 3, 10_000), 6);
  let tokens = 0;
  for (let i = 0; i < 40; i++) tokens = refill(tokens, 1, 25);
  t.true(Math.abs(tokens - 1) < 1e-9);
  t.is(refill(0, 100, 250), 25);
});

test('who may upgrade, by Origin and Host', (t) => {
  const rules = {
    originsAllowed: ['https://a.example'],
    hostsAllowed: ['chat.example', '[::1]:5200'],
  };
  const request = { path: '/', query: '', remoteAddress: '127.0.0.1' };
  const table: [string | undefined, string | undefined, boolean][] = [
    [undefined, 'chat.example', true],
    ['https://a.example', 'chat.example:5200', true],
    ['HTTPS://A.example', 'Chat.Example', true],
    ['https://a.example', '[::1]:5200', true],
    ['https://a.example', '[::1]:5201', false],
    ['https://a.example.evil', 'chat.example', false],
    ['null', 'chat.example', false],
    [undefined, 'evil.example', false],
    [undefined, undefined, false],
  ];
  for (const [origin, host, accept] of table) {
    t.is(admitUpgrade({ ...request, origin, host }, rules).accept, accept, `${origin} ${host}`);
  }
  const any = { originsAllowed: undefined, hostsAllowed: undefined };
  t.true(admitUpgrade({ ...request, origin: 'https://x', host: undefined }, any).accept);
});

test('without lists: this machine and what members advertise, and IP addresses as Host', (t) => {
  const rules = {
    originsAllowed: undefined,
    hostsAllowed: undefined,
    advertised: () => new Set(['chat.example']),
  };
  const request = { path: '/', query: '', remoteAddress: '127.0.0.1' };
  const table: [string | undefined, string | undefined, boolean][] = [
    [undefined, '127.0.0.1:5200', true],
    [undefined, 'localhost', true],
    [undefined, '[::1]:5200', true],
    [undefined, '10.1.2.3:5200', true],
    [undefined, 'chat.example:5200', true],
    [undefined, 'evil.example', false],
    [undefined, '127.0.0.1.evil.example', false],
    [undefined, undefined, false],
    ['http://127.0.0.1:5001', '127.0.0.1:5200', true],
    ['http://localhost:5001', '127.0.0.1:5200', true],
    ['https://chat.example', 'chat.example', true],
    ['https://evil.example', '127.0.0.1:5200', false],
    ['https://chat.example.evil.example', 'chat.example', false],
    ['https://chat.example@evil.example', 'chat.example', false],
    ['http://10.9.9.9', '127.0.0.1:5200', false],
    ['null', '127.0.0.1:5200', false],
  ];
  for (const [origin, host, accept] of table) {
    t.is(admitUpgrade({ ...request, origin, host }, rules).accept, accept, `${origin} ${host}`);
  }
});

test('a refusal names the key that would let it in', (t) => {
  const rules = { originsAllowed: ['https://a.example'], hostsAllowed: ['chat.example'] };
  const request = { path: '/', query: '', remoteAddress: '127.0.0.1' };
  const bodyOf = (origin: string, host: string): string => {
    const answer = admitUpgrade({ ...request, origin, host }, rules);
    return answer.accept ? '' : answer.body;
  };
  t.regex(bodyOf('https://b.example', 'chat.example'), /gateway\.origins_allowed/);
  t.regex(bodyOf('https://a.example', 'evil.example'), /gateway\.hosts_allowed/);
});
