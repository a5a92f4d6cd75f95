import { readFileSync } from 'node:fs';
import test from 'ava';
import { HEADERS, signatureOf } from '../../src/webhooks/signature.ts';

type Check = (
  ...given: [
    headers: Readonly<Record<string, string>>,
    body: Buffer,
    secret: string,
    nowSeconds?: number,
  ]
) => boolean;

test('the check of a signature that README shows takes what is signed and nothing else', async (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const code = /```js\n(import \{ createHmac.*?)\n```/s.exec(readme)![1]!;
  const url = `data:text/javascript,${encodeURIComponent(code)}`;
  const { isFromHoldfast } = (await import(url)) as { isFromHoldfast: Check };
  const timestamp = '1700000000';
  const text = '[{"payload":"ä"}]';
  const signed = (...secrets: string[]) => ({
    [HEADERS.timestamp]: timestamp,
    [HEADERS.signature]: signatureOf(secrets, timestamp, text),
  });
  const body = Buffer.from(text);
  t.true(isFromHoldfast(signed('the-secret'), body, 'the-secret', 1_700_000_010));
  t.true(isFromHoldfast(signed('a-new-one', 'the-secret'), body, 'the-secret', 1_700_000_010));
  t.false(isFromHoldfast(signed('another-one'), body, 'the-secret', 1_700_000_010));
  t.false(isFromHoldfast(signed('the-secret'), Buffer.from('[]'), 'the-secret', 1_700_000_010));
  t.false(isFromHoldfast(signed('the-secret'), body, 'the-secret', 1_700_009_999));
  t.false(isFromHoldfast({}, body, 'the-secret', 1_700_000_010));
});
