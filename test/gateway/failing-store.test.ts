import test from 'ava';
import { until } from '../support/until.ts';
import { ADAPTERS, startGateway } from './fixture.ts';

for (const [name, factory] of ADAPTERS) {
  test(`${name}: a token that cannot be read refuses the connect, and only that`, async (t) => {
    const { client, fake, log } = await startGateway(t, factory, { auth: 'token' });
    const { directory } = fake.services;
    const failing = {
      checkToken() {
        throw new Error('the store is failing and this row is not in memory');
      },
    };
    const works = directory.checkToken.bind(directory);
    Object.assign(directory, failing);
    const refused = client('alice', { token: 'any' });
    const error = await t.throwsAsync(refused.connect());
    t.is((error as Error & { reply: { error: { code: number } } }).reply.error.code, 15);
    await until('the connection is closed', () => refused.closes.length === 1);
    t.is(refused.closes[0]!.code, 1008);
    t.true(log.some(({ level }) => level === 'error'));
    Object.assign(directory, { checkToken: works });
    const again = client('bob', { token: 'wrong' });
    const other = await t.throwsAsync(again.connect());
    t.is((other as Error & { reply: { error: { code: number } } }).reply.error.code, 2);
  });
}
