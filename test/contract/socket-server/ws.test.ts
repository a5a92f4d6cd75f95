import { createWsServer } from '../../../src/gateway/socket-server/ws.ts';
import { socketServerSuite } from './suite.ts';

socketServerSuite('ws', { create: createWsServer, scheme: 'ws' });
