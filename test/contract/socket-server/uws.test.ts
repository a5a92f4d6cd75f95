import test from 'ava';
import { loadNative } from '../../../src/gateway/socket-server/uws-native.ts';
import { createUwsServer, uwsIdleSeconds } from '../../../src/gateway/socket-server/uws.ts';
import { socketServerSuite } from './suite.ts';

if (loadNative()) socketServerSuite('uws', { create: createUwsServer, scheme: 'ws' });
else test.skip(`uws: has no native binary for Node ${process.version}`, () => {});

test('uws: the idle limit is one that uWS takes', (t) => {
  t.deepEqual(
    [0, 1, 8, 9, 75, 960, 5000].map((seconds) => uwsIdleSeconds(seconds)),
    [0, 8, 8, 12, 76, 960, 960],
  );
});
