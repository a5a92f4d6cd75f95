import { Packr } from 'msgpackr';
import { parseChannelKey, parseUid, type ChannelKey, type Parsed } from '../../core/ids.ts';
import {
  readOperations,
  readRanges,
  readRows,
  readVector,
  writeOperations,
  writeRanges,
  writeRows,
  writeVector,
} from './codec-parts.ts';
import type { ContextTrail } from './context-trail.ts';
import { Fields, Malformed } from './fields.ts';
import {
  CALL_BYTES_MAX,
  type Heartbeat,
  type Hello,
  type Interest,
  type PeerMessage,
  type Refused,
  type Reply,
  type Transient,
} from './message.ts';

/**
 * A peer message is an envelope {kind, payload}; the payload is one flat msgpackr array of numbers,
 * texts, flags and bytes. One operation of one write takes about 70 bytes besides its key and
 * value, and at most 2 µs each way (test/cluster/link/codec.test.ts measures it).
 */
export interface Encoded {
  readonly kind: number;
  readonly payload: Uint8Array;
}

/** Numbers on the wire; never reused for another message. 100 and above belong to the handshake. */
const KINDS = {
  hello: 1,
  refused: 2,
  operations: 3,
  applied: 4,
  heartbeat: 5,
  pull: 6,
  pulled: 7,
  'snapshot-wanted': 8,
  'snapshot-rows': 9,
  interest: 10,
  'interest-wanted': 11,
  transient: 12,
  call: 13,
  reply: 14,
} as const satisfies Record<PeerMessage['type'], number>;

const TYPES = new Map<number, PeerMessage['type']>(
  (Object.keys(KINDS) as PeerMessage['type'][]).map((type) => [KINDS[type], type]),
);

const REFUSALS: readonly Refused['code'][] = [
  'cluster',
  'protocol',
  'slot',
  'slots',
  'rolled-back',
  'not-on-roster',
  'full',
  'closed',
];
const CALL_ERRORS = ['busy', 'unknown-method', 'too-large', 'failed'] as const;
const METHOD_LENGTH_MAX = 64;
const TEXT_LENGTH_MAX = 1_024;
/** A channel key and a little more. */
const ITEM_LENGTH_MAX = 2_048;
const STORE_ID = /^[0-9a-f]{16}$/;

/** Records would make one message depend on those before it. */
const packr = new Packr({ useRecords: false });

/**
 * The payload is a buffer of its own, the message may change afterwards. With the trail of a link's
 * direction every message of it has to be encoded with it, in the order in which they leave; without one
 * a message stands alone.
 */
export function encodePeerMessage(message: PeerMessage, trail?: ContextTrail): Encoded {
  const out: unknown[] = [];
  write(out, message, trail);
  return { kind: KINDS[message.type], payload: packr.pack(out) };
}

/**
 * Checks every field. Byte values are views on `payload`: who keeps one for long copies it. The
 * error names message, field and what was expected, and quotes no content.
 */
export function decodePeerMessage(
  kind: number,
  payload: Uint8Array,
  trail?: ContextTrail,
): Parsed<PeerMessage> {
  const type = TYPES.get(kind);
  if (!type) return { ok: false, error: `unknown kind of message: ${kind}` };
  let unpacked: unknown;
  try {
    unpacked = packr.unpack(payload);
  } catch {
    return { ok: false, error: `${type}: the payload is no msgpack` };
  }
  if (!Array.isArray(unpacked)) return { ok: false, error: `${type}: the payload is no array` };
  const fields = new Fields(unpacked);
  try {
    const value = read(fields, type, trail);
    fields.end();
    return { ok: true, value };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, error: `${type}: ${error.message}` };
    throw error;
  }
}

function write(out: unknown[], message: PeerMessage, trail: ContextTrail | undefined): void {
  switch (message.type) {
    case 'operations':
      out.push(message.frame);
      return writeOperations(out, message.operations, trail);
    case 'applied':
      return void out.push(message.disk, message.routed);
    case 'heartbeat':
      return writeHeartbeat(out, message);
    case 'hello':
      return writeHello(out, message);
    case 'refused':
      return void out.push(message.code, message.message.slice(0, TEXT_LENGTH_MAX));
    case 'pull':
      out.push(message.request, message.bytesMax);
      return writeRanges(out, message.ranges);
    case 'pulled':
      out.push(message.request, message.more, message.vectorHash);
      writeVector(out, message.changed);
      writeRanges(out, message.covered);
      writeRanges(out, message.collected);
      return writeOperations(out, message.operations, trail);
    case 'snapshot-wanted':
      return void out.push(message.request, message.shard, message.after ?? null, message.bytesMax);
    case 'snapshot-rows':
      out.push(message.request, message.shard, message.last);
      writeVector(out, message.vector);
      writeRanges(out, message.collected);
      return writeRows(out, message.rows, { shard: message.shard, trail });
    case 'interest':
      return writeInterest(out, message);
    case 'interest-wanted':
      return;
    case 'transient':
      return void out.push(message.number, message.channel, message.sender, message.value);
    case 'call':
      return void out.push(message.request, message.method, message.body);
    case 'reply':
      out.push(message.request, message.ok);
      if (message.ok) out.push(message.body);
      else out.push(message.code, message.message.slice(0, TEXT_LENGTH_MAX));
      return;
    default:
      return message satisfies never;
  }
}

function read(
  fields: Fields,
  type: PeerMessage['type'],
  trail: ContextTrail | undefined,
): PeerMessage {
  switch (type) {
    case 'operations':
      return { type, frame: fields.integer('frame', 1), operations: readOperations(fields, trail) };
    case 'applied': {
      const disk = fields.integer('disk');
      return { type, disk, routed: fields.integer('routed') };
    }
    case 'heartbeat':
      return readHeartbeat(fields);
    case 'hello':
      return readHello(fields);
    case 'refused': {
      const code = fields.oneOf('code', REFUSALS);
      return { type, code, message: fields.text('message', TEXT_LENGTH_MAX) };
    }
    case 'pull': {
      const [request, bytesMax] = [fields.integer('request'), fields.integer('bytesMax', 1)];
      return { type, request, bytesMax, ranges: readRanges(fields) };
    }
    case 'pulled': {
      const [request, more] = [fields.integer('request'), fields.flag('more')];
      const vectorHash = fields.integer('vectorHash');
      const [changed, covered] = [readVector(fields), readRanges(fields)];
      const [collected, operations] = [readRanges(fields), readOperations(fields, trail)];
      return { type, request, more, vectorHash, changed, covered, collected, operations };
    }
    case 'snapshot-wanted': {
      const [request, shard] = [fields.integer('request'), fields.shard()];
      const after = fields.optional(() => fields.key(shard));
      const bytesMax = fields.integer('bytesMax', 1);
      return { type, request, shard, bytesMax, ...(after === undefined ? {} : { after }) };
    }
    case 'snapshot-rows': {
      const [request, shard] = [fields.integer('request'), fields.shard()];
      const last = fields.flag('last');
      const [vector, collected] = [readVector(fields), readRanges(fields)];
      return {
        type,
        request,
        shard,
        last,
        vector,
        collected,
        rows: readRows(fields, { shard, trail }),
      };
    }
    case 'interest':
      return readInterest(fields);
    case 'interest-wanted':
      return { type };
    case 'transient':
      return readTransient(fields);
    case 'call': {
      const request = fields.integer('request', 1);
      const method = fields.text('method', METHOD_LENGTH_MAX);
      return { type, request, method, body: readBody(fields) };
    }
    case 'reply':
      return readReply(fields);
    default:
      return type satisfies never;
  }
}

function writeHello(out: unknown[], hello: Hello): void {
  out.push(hello.cluster, hello.protocolMin, hello.protocolMax, hello.member, hello.slot);
  out.push(hello.slots, hello.rosterEpoch, hello.storeId, hello.lineage);
  out.push(hello.actor, hello.catchingUp, hello.whole);
  out.push(hello.closed.count, hello.closed.low, hello.closed.high);
  writeVector(out, hello.vector);
}

function readHello(fields: Fields): Hello {
  const cluster = fields.text('cluster', TEXT_LENGTH_MAX);
  const protocolMin = fields.integer('protocolMin');
  const protocolMax = fields.integer('protocolMax', protocolMin);
  const member = fields.member();
  const [slot, slots] = [fields.integer('slot'), fields.integer('slots', 1)];
  const rosterEpoch = fields.integer('rosterEpoch');
  const storeId = fields.text('storeId', TEXT_LENGTH_MAX);
  if (!STORE_ID.test(storeId)) fields.fail('storeId', 'expected 16 lower-case hex digits');
  const lineage = fields.text('lineage', TEXT_LENGTH_MAX);
  if (lineage !== '' && !STORE_ID.test(lineage)) {
    fields.fail('lineage', 'expected 16 lower-case hex digits or nothing');
  }
  const [actor, catchingUp] = [fields.actor(), fields.flag('catchingUp')];
  const whole = fields.flag('whole');
  const [count, low] = [fields.integer('closed count'), fields.integer('closed low')];
  const closed = { count, low, high: fields.integer('closed high') };
  return {
    type: 'hello',
    ...{ cluster, protocolMin, protocolMax, member, slot, slots, rosterEpoch, storeId },
    ...{ lineage, actor, catchingUp, whole, closed, vector: readVector(fields) },
  };
}

function writeHeartbeat(out: unknown[], beat: Heartbeat): void {
  out.push(beat.wallMs, beat.vectorHash, beat.wantVector, beat.catchingUp);
  out.push(beat.interestVersion, beat.interestDigest, beat.transients);
  writeVector(out, beat.changed);
}

function readHeartbeat(fields: Fields): Heartbeat {
  const [wallMs, vectorHash] = [fields.integer('wallMs'), fields.integer('vectorHash')];
  const [wantVector, catchingUp] = [fields.flag('wantVector'), fields.flag('catchingUp')];
  const interestVersion = fields.integer('interestVersion');
  const interestDigest = fields.integer('interestDigest', Number.MIN_SAFE_INTEGER);
  const transients = fields.integer('transients');
  return {
    type: 'heartbeat',
    ...{ wallMs, vectorHash, wantVector, catchingUp, interestVersion, interestDigest, transients },
    changed: readVector(fields),
  };
}

function writeInterest(out: unknown[], { version, whole, add, remove }: Interest): void {
  out.push(version, whole, add.length);
  for (const item of add) out.push(item);
  out.push(remove.length);
  for (const item of remove) out.push(item);
}

function readInterest(fields: Fields): Interest {
  const [version, whole] = [fields.integer('version'), fields.flag('whole')];
  const items = (what: string): string[] =>
    Array.from({ length: fields.count(what, 1) }, () => {
      const item = fields.text(what, ITEM_LENGTH_MAX);
      if (item[0] === 'c' || item[0] === 'u') return item;
      return fields.fail(what, 'expected an item of a channel or a user');
    });
  const add = items('add');
  return { type: 'interest', version, whole, add, remove: items('remove') };
}

/** Of a member's canary: type 0 is no type that a client or a backend may name. */
const PROBE_CHANNEL = /^0\/canary\/[A-Za-z0-9._-]{1,64}$/;

function readTransient(fields: Fields): Transient {
  const number = fields.integer('number', 1);
  const key = fields.text('channel', ITEM_LENGTH_MAX);
  const slash = key.indexOf('/');
  const channel = PROBE_CHANNEL.test(key)
    ? { ok: true as const, value: key as ChannelKey }
    : parseChannelKey(key.slice(slash + 1), slash > 0 ? Number(key.slice(0, slash)) : 0);
  if (!channel.ok) return fields.fail('channel', channel.error);
  const sender = parseUid(fields.text('sender', ITEM_LENGTH_MAX));
  if (!sender.ok) return fields.fail('sender', 'expected a uid');
  const value = fields.bytes('value');
  return { type: 'transient', number, channel: channel.value, sender: sender.value, value };
}

function readReply(fields: Fields): Reply {
  const [request, ok] = [fields.integer('request', 1), fields.flag('ok')];
  if (ok) return { type: 'reply', request, ok, body: readBody(fields) };
  const code = fields.oneOf('code', CALL_ERRORS);
  return { type: 'reply', request, ok, code, message: fields.text('message', TEXT_LENGTH_MAX) };
}

function readBody(fields: Fields): Uint8Array {
  const body = fields.bytes('body');
  if (body.length <= CALL_BYTES_MAX) return body;
  return fields.fail('body', `expected at most ${CALL_BYTES_MAX} bytes`);
}
