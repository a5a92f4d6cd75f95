import test from 'ava';
import fc from 'fast-check';
import { WkProtoError } from '../../../src/gateway/codec/wkproto-bytes.ts';
import {
  agreeKeys,
  decrypt,
  encrypt,
  printableSalt,
} from '../../../src/gateway/codec/wkproto-crypto.ts';
import { WkStream } from '../../../src/gateway/codec/wkproto-stream.ts';
import { decodeWkPacket, WK } from '../../../src/gateway/codec/wkproto.ts';
import { WkClientSide } from './wkproto-client.ts';

const KEYS = { key: Buffer.from('0123456789abcdef'), iv: Buffer.from('fedcba9876543210') };

test('any bytes are packets or a WkProtoError, in any version, and never wait beyond the limit', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }),
      fc.integer({ min: 1, max: 6 }),
      (chunks, version) => {
        const stream = new WkStream(100);
        try {
          for (const chunk of chunks) {
            stream.push(chunk, (first, body) => Boolean(decodeWkPacket(first, body, version)));
            t.true(stream.waitingBytes <= 105);
          }
        } catch (error) {
          if (!(error instanceof WkProtoError)) throw error;
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test('a packet that is cut short or has one byte changed is read or refused, never more', (t) => {
  const packets = [1, 2, 3, 4, 5, 6].flatMap((version) => {
    const side = new WkClientSide(version);
    side.keys = KEYS;
    const send = side.send({ clientSeq: 1, channelId: 'g', text: 'hello', setting: 8, topic: 't' });
    return [side.connect('u'), send, side.sub('g', 0), side.recvack(5n, 6)].map((bytes) => ({
      version,
      bytes,
    }));
  });
  const change = fc.record({
    packet: fc.constantFrom(...packets),
    at: fc.nat(400),
    byte: fc.integer({ min: 0, max: 255 }),
  });
  fc.assert(
    fc.property(change, ({ packet, at, byte }) => {
      const bytes = Buffer.from(packet.bytes.subarray(2));
      const body = byte < 128 ? bytes.subarray(0, at % bytes.length) : bytes;
      if (byte >= 128) body[at % body.length] = byte;
      try {
        t.truthy(decodeWkPacket(packet.bytes[0]!, body, packet.version));
      } catch (error) {
        t.true(error instanceof WkProtoError);
      }
    }),
    { numRuns: 2000 },
  );
});

test('however a stream of packets is cut, the same packets come out', (t) => {
  const side = new WkClientSide(5);
  side.keys = KEYS;
  const long = side.send({ clientSeq: 2, channelId: 'g', text: 'x'.repeat(300) });
  const packets = [Buffer.of(WK.ping << 4), side.sub('g', 0), long, Buffer.of(WK.ping << 4), long];
  const all = Buffer.concat(packets);
  const cuts = fc.array(fc.nat(all.length), { maxLength: 20 });
  fc.assert(
    fc.property(cuts, (points) => {
      const stream = new WkStream(1000);
      const seen: string[] = [];
      const edges = [0, ...points.sort((a, b) => a - b), all.length];
      for (let i = 1; i < edges.length; i++) {
        stream.push(all.subarray(edges[i - 1], edges[i]), (first, body) => {
          seen.push(`${first} ${Buffer.from(body).toString('hex')}`);
          return true;
        });
      }
      t.is(stream.waitingBytes, 0);
      const header = (packet: Buffer): number =>
        packet.length === 1 ? 1 : packet.length > 129 ? 3 : 2;
      t.deepEqual(
        seen,
        packets.map((packet) => `${packet[0]} ${packet.subarray(header(packet)).toString('hex')}`),
      );
    }),
  );
});

test('what is encrypted is decrypted, and what is not comes back as nothing', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (plain) => {
      const wire = Buffer.from(encrypt(KEYS, plain));
      t.deepEqual(decrypt(KEYS, wire), Buffer.from(plain));
      t.is(decrypt(KEYS, wire.subarray(1)), undefined);
      const other = { key: Buffer.alloc(16), iv: Buffer.alloc(16) };
      t.notDeepEqual(decrypt(other, wire), Buffer.from(plain));
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (wire) => {
      decrypt(KEYS, wire);
      t.pass();
    }),
  );
});

test('only an X25519 key makes an agreement; a salt is 16 printable characters', (t) => {
  const salt = printableSalt(Uint8Array.from({ length: 16 }, (_, i) => i * 17));
  t.regex(salt, /^[\x21-\x7e]{16}$/);
  const packet = new WkClientSide(5).connect('u');
  t.truthy(agreeKeys(packet.subarray(-44).toString(), salt));
  t.is(agreeKeys('', salt), undefined);
  t.is(agreeKeys('AAAA', salt), undefined);
  // The point of order one makes every secret zero (RFC 7748, section 6.1).
  t.is(agreeKeys(Buffer.alloc(32).toString('base64'), salt), undefined);
});
