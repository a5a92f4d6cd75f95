import test from 'ava';
import { selectSocketServer } from '../../../src/gateway/socket-server/select.ts';
import { loadNative } from '../../../src/gateway/socket-server/uws-native.ts';
import { createUwsServer } from '../../../src/gateway/socket-server/uws.ts';
import { createWsServer } from '../../../src/gateway/socket-server/ws.ts';

test('uWS runs where it has a binary, else ws, and the log says which', (t) => {
  const lines: string[] = [];
  const log = {
    info: (message: string) => void lines.push(`info ${message}`),
    warn: (message: string) => void lines.push(`warn ${message}`),
  };
  t.is(selectSocketServer(log, 'auto'), loadNative() ? createUwsServer : createWsServer);
  t.is(selectSocketServer(log, 'ws'), createWsServer);
  t.is(lines.length, 2);
  t.regex(lines[0]!, loadNative() ? /^info .*uWebSockets/ : /^warn .*no native binary/);
  t.regex(lines[1]!, /^info .*as configured/);
});
