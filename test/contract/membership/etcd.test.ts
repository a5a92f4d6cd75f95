import test from 'ava';
import { EtcdMembership } from '../../../src/cluster/membership/etcd.ts';
import { silentLog } from '../../../src/observability/log.ts';
import { systemRuntime } from '../../../src/runtime/system.ts';
import { etcdAvailable, startEtcd, type TestEtcd } from '../../support/etcd.ts';
import { membershipSuite } from './suite.ts';

let etcd: Promise<TestEtcd> | undefined;
let clusters = 0;

membershipSuite({
  name: 'etcd (needs etcd)',
  run: etcdAvailable() ? test : test.skip,
  async make() {
    etcd ??= startEtcd();
    const { endpoint } = await etcd;
    const cluster = `contract-${clusters++}`;
    return {
      open: (self) =>
        new EtcdMembership({
          cluster,
          endpoints: [endpoint],
          slot: self.slot,
          slots: 32,
          log: silentLog,
          runtime: systemRuntime,
        }),
      end: () => Promise.resolve(),
    };
  },
});

test.after.always('end etcd', async () => {
  await (await etcd)?.stop();
});
