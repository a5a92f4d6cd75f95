import { Writable } from 'node:stream';
import test from 'ava';
import { createLog, silentLog, type LogLevel } from '../../src/observability/log.ts';
import { until } from '../support/until.ts';

function collect(level: LogLevel = 'debug', pretty = false) {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  return { lines, log: createLog({ level, pretty, destination }) };
}

test('a line is JSON with level, time in UTC, message and fields', (t) => {
  const { lines, log } = collect();
  log.child({ room: 'store' }).warn('disk is full', { bytes: 5 });
  const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  t.like(line, { level: 'warn', message: 'disk is full', room: 'store', bytes: 5 });
  t.regex(String(line['time']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('payloads, tokens and secrets are never written, whoever passes them', async (t) => {
  for (const pretty of [false, true]) {
    const { lines, log } = collect('debug', pretty);
    log.info('a', {
      token: 'hush-1',
      payload: 'hush-2',
      request: { secret: 'hush-3', body: 'hush-4' },
    });
    log.child({ managerToken: 'hush-5' }).error('b', { headers: { authorization: 'hush-6' } });
    await until('both lines', () => lines.length >= 2);
    t.notRegex(lines.join(''), /hush/);
  }
});

test('an expected error shows code and cause, a defect shows its stack', (t) => {
  const { lines, log } = collect();
  const cause = Object.assign(new Error('no space'), { code: 'ENOSPC' });
  log.error('write failed', {
    error: Object.assign(new Error('flush', { cause }), { code: 'STORE' }),
  });
  log.error('bug', { error: new TypeError('x is undefined') });
  const [expected, defect] = lines.map((line) => (JSON.parse(line) as { error: object }).error);
  t.deepEqual(expected, {
    message: 'flush',
    code: 'STORE',
    cause: { message: 'no space', code: 'ENOSPC' },
  });
  t.regex((defect as { stack: string }).stack, /TypeError: x is undefined\n\s+at /);
});

test('below its level a log says nothing; the silent one says nothing at all', (t) => {
  const { lines, log } = collect('warn');
  log.info('no');
  log.debug('no');
  log.warn('yes');
  silentLog.child({ a: 1 }).error('no');
  t.is(lines.length, 1);
});
