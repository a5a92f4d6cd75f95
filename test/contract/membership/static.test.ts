import test from 'ava';
import { StaticMembership } from '../../../src/cluster/membership/static.ts';
import { membershipSuite } from './suite.ts';

membershipSuite({
  name: 'static',
  run: test,
  make: (members) =>
    Promise.resolve({
      open: () => new StaticMembership({ members, slots: 32 }),
      end: () => Promise.resolve(),
    }),
});
