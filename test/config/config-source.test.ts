import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ConfigSource } from '../../src/config/config-source.ts';
import { formatConfigErrors } from '../../src/config/load.ts';

const TOKEN = 'gateway:\n  auth: token\n';

/** A file that is looked for at each read, as the default one is. */
function sourceIn(t: ExecutionContext, text?: string) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-source-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'cluster.yml');
  const state = { isThere: text !== undefined };
  const write = (content: string): void => {
    writeFileSync(file, content);
    state.isThere = true;
  };
  const remove = (): void => {
    rmSync(file);
    state.isThere = false;
  };
  if (text !== undefined) write(text);
  const source = new ConfigSource(() => ({ path: state.isThere ? file : undefined, env: {} }));
  const auth = (): string => {
    const loaded = source.read();
    return loaded.ok ? loaded.config.gateway.auth : formatConfigErrors(loaded.errors);
  };
  return { source, file, write, remove, auth };
}

test('S3-5 a file that was emptied is refused, however it says nothing; one with keys is taken again', (t) => {
  const { auth, write } = sourceIn(t, TOKEN);
  t.is(auth(), 'token');
  for (const empty of [
    '',
    '\n',
    '# gateway:\n#   auth: token\n',
    '---\n',
    '{}',
    'null',
    'gateway:\n',
  ]) {
    write(empty);
    t.regex(auth(), /cluster\.yml:1:1: found a file without any key/, JSON.stringify(empty));
  }
  write('gateway:\n  auth: none\n');
  t.is(auth(), 'none');
});

test('S3-5 a file that is gone is refused, though a start without one has the defaults', (t) => {
  const { auth, remove, write, source, file } = sourceIn(t, TOKEN);
  t.is(auth(), 'token');
  remove();
  t.regex(auth(), /cannot be read \(ENOENT\)/);
  t.is(source.path, file);
  write(TOKEN);
  t.is(auth(), 'token');
});

test('S3-5 a start without a file, or with an empty one, has the defaults; keys that come later hold', (t) => {
  for (const text of [undefined, '', '# nothing yet\n']) {
    const { auth, write, remove } = sourceIn(t, text);
    t.is(auth(), 'none');
    t.is(auth(), 'none', 'and it may stay so');
    write(TOKEN);
    t.is(auth(), 'token');
    remove();
    t.regex(auth(), /ENOENT/);
    write('');
    t.regex(auth(), /without any key/);
  }
});
