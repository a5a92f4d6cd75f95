import test from 'ava';
import fc from 'fast-check';
import {
  formatCodes,
  payloadOf,
  readMessage,
  segmentsOf,
} from '../../../src/connections/onebot/segments.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test('text with CQ codes and back', (t) => {
  const segments = readMessage('a &amp; [CQ:at,qq=7] b [CQ:image,file=x&#44;y.png] c', false)!;
  t.deepEqual(segments, [
    { type: 'text', data: { text: 'a & ' } },
    { type: 'at', data: { qq: '7' } },
    { type: 'text', data: { text: ' b ' } },
    { type: 'image', data: { file: 'x,y.png' } },
    { type: 'text', data: { text: ' c' } },
  ]);
  t.is(formatCodes(segments), 'a &amp; [CQ:at,qq=7] b [CQ:image,file=x&#44;y.png] c');
  t.deepEqual(readMessage('[CQ:at,qq=7]', true), [
    { type: 'text', data: { text: '[CQ:at,qq=7]' } },
  ]);
});

test('a payload keeps segments that text cannot say, and shows text to every client', (t) => {
  const segments = readMessage('see [CQ:face,id=1]', false)!;
  const payload = payloadOf(segments);
  t.like(JSON.parse(new TextDecoder().decode(payload)), { type: 1, content: 'see [face]' });
  t.deepEqual(segmentsOf(payload), segments);
  const plain = payloadOf(readMessage('hello', false)!);
  t.deepEqual(JSON.parse(new TextDecoder().decode(plain)), { type: 1, content: 'hello' });
});

test('any bytes are shown as something, and any segments come back as they were', (t) => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => segmentsOf(bytes).length > 0));
  fc.assert(fc.property(fc.json(), (json) => segmentsOf(utf8(json)).length > 0));
  const text = fc.string().filter((value) => value !== '');
  const segment = fc.oneof(
    fc.record({ type: fc.constant('text'), data: fc.record({ text }) }),
    fc.record({ type: fc.constant('at'), data: fc.record({ qq: text }) }),
  );
  fc.assert(
    fc.property(fc.array(segment, { minLength: 1, maxLength: 20 }), (segments) => {
      const merged = readMessage(formatCodes(segments), false)!;
      t.is(formatCodes(merged), formatCodes(segments));
      const isPlain = segments.every(({ type }) => type === 'text');
      if (!isPlain) t.deepEqual(segmentsOf(payloadOf(segments)), segments);
    }),
  );
});

test('what is no message is refused', (t) => {
  for (const value of [
    undefined,
    null,
    7,
    {},
    [],
    [1],
    [{ type: 'text' }],
    { type: 1, data: {} },
  ]) {
    t.is(readMessage(value, false), undefined, JSON.stringify(value));
  }
});
