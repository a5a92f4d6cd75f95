import test from 'ava';
import { formatConfigErrors, loadConfig, type Config } from '../../src/config/load.ts';
import { coreOptions, type Ground } from '../../src/node/adapters.ts';
import { member } from '../admin/support/fakes.ts';

function windowsOf(config: Config): (type: number) => number {
  const ground = { config, self: member('a', 0) } as Ground;
  return coreOptions(ground).recallWindowMs!;
}

test('S1-7 the window in which a sender may recall is configured per channel type, 120 s by default', (t) => {
  const plain = loadConfig({ env: {} });
  if (!plain.ok) return t.fail(formatConfigErrors(plain.errors));
  for (let type = 1; type <= 10; type++) t.is(windowsOf(plain.config)(type), 120_000);
  const name = 'HOLDFAST_MESSAGES_RECALL_WINDOW_SECONDS';
  const env = { [`${name}_PERSON`]: '30', [`${name}_GROUP`]: '0', [`${name}_OTHER`]: '86400' };
  const own = loadConfig({ env });
  if (!own.ok) return t.fail(formatConfigErrors(own.errors));
  const windowMs = windowsOf(own.config);
  t.deepEqual([1, 2, 3, 10].map(windowMs), [30_000, 0, 86_400_000, 86_400_000]);
});

test('a window that is none is refused, with what is allowed', (t) => {
  const loaded = loadConfig({ env: { HOLDFAST_MESSAGES_RECALL_WINDOW_SECONDS_GROUP: '-1' } });
  if (loaded.ok) return t.fail('it was taken');
  const text = formatConfigErrors(loaded.errors);
  t.regex(text, /messages\.recall_window_seconds\.group: found -1/);
  t.regex(text, /allowed: a whole number from 0 to 31536000 \(seconds\)/);
});
