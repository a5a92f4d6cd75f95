import type { ExecutionContext } from 'ava';
import { EasyClient, type EasyClientOptions } from './clients/easy-client.ts';
import type { TestCluster } from './cluster.ts';
import { until } from './until.ts';

/** Bounds in seconds are the simulator's; on real processes a test waits five times as long. */
export const PATIENCE = 5;

/** A connected client of node k that ends with the test. */
export async function clientOf(
  t: ExecutionContext,
  address: EasyClientOptions['url'],
  uid: string,
): Promise<EasyClient> {
  const client = new EasyClient({ url: address, uid });
  t.teardown(() => client.stop());
  await client.connect();
  return client;
}

/** Every running node has the same subscription table. */
export function sameTables(cluster: TestCluster, deadlineMs = 30_000): Promise<string> {
  return until(
    'the subscription tables are equal',
    async () => {
      const digests = [...(await cluster.digests()).values()];
      return digests.every((digest) => digest === digests[0]) ? digests[0] : undefined;
    },
    deadlineMs,
  );
}

/** The same version vectors: nobody lacks anything that another has. */
export function sameVectors(cluster: TestCluster, deadlineMs = 30_000): Promise<string> {
  return until(
    'the version vectors are equal',
    async () => {
      const replies = cluster.numbers
        .filter((k) => cluster.pid(k) !== undefined)
        .map((k) => cluster.admin(k).members());
      const digests = (await Promise.all(replies)).map((reply) => reply.vectorDigest);
      return digests.every((digest) => digest === digests[0]) ? digests[0] : undefined;
    },
    deadlineMs,
  );
}

/** Every node has both streams with every other running node open and heard. */
export function allLinked(cluster: TestCluster, deadlineMs = 30_000): Promise<true> {
  return until(
    'all streams are open',
    async () => {
      const running = cluster.numbers.filter((k) => cluster.pid(k) !== undefined);
      for (const k of running) {
        const { members } = await cluster.admin(k).members();
        const live = members.filter((member) => member.peer?.live).length;
        if (live < running.length - 1) return undefined;
      }
      return true as const;
    },
    deadlineMs,
  );
}
