import type { ExecutionContext } from 'ava';
import { HttpApi } from '../../src/api/http-server.ts';
import { startLoneCore, type LoneOptions } from '../support/lone-core.ts';
import { apiOptions, call, FakeServices } from './fakes.ts';

/** The API over a node's own core. */
export async function realApi(t: ExecutionContext, options: LoneOptions = {}) {
  const node = await startLoneCore(undefined, options);
  const services = node.core.services;
  const api = new HttpApi({ ...apiOptions(new FakeServices()), services });
  const port = await api.start('127.0.0.1', 0);
  t.teardown(async () => {
    await api.stop();
    await node.stop();
  });
  /** A body that is text goes as it is. */
  const post = async (path: string, body: unknown): Promise<{ status: number; text: string }> => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return call({ port, path, method: 'POST', headers: {} }, text);
  };
  const get = (path: string): Promise<{ status: number; text: string }> =>
    call({ port, path, method: 'GET', headers: {} });
  return { post, get, services };
}
