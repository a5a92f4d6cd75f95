import type { ExecutionContext, TestFn } from 'ava';
import type {
  KeyValue,
  ScanRange,
  Store,
  StoreLocation,
  StoreStatus,
} from '../../../src/storage/port.ts';
import { until } from '../../support/until.ts';

/** One adapter on an empty disk of its own. */
export interface Bench {
  readonly location: StoreLocation;
  failDisk(): void;
  healDisk(): void;
  remove(): Promise<void>;
}

export const ALL = { gte: '', lt: '\u{10ffff}' } as const;

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export async function collect(store: Store, range: ScanRange = ALL): Promise<KeyValue[]> {
  const rows: KeyValue[] = [];
  for await (const chunk of store.scan(range)) rows.push(...chunk);
  return rows;
}

/** Rows as plain ASCII, for comparing and for printing what differs. */
export async function texts(store: Store, range: ScanRange = ALL): Promise<string[]> {
  const rows = await collect(store, range);
  return rows.map(([key, value]) => `${encodeURI(key)}=${new TextDecoder().decode(value)}`);
}

export function durable(store: Store): Promise<void> {
  return new Promise((resolve) => store.stage([], resolve));
}

type With = (bench: Bench, store: Store) => Promise<void>;

/** The contract of src/storage/port.ts, as tests of one adapter. */
export function storeContract(test: TestFn, name: string, makeBench: () => Promise<Bench>): void {
  const contract = (title: string, body: (t: ExecutionContext) => With): void =>
    test(`${name}: ${title}`, async (t) => {
      const bench = await makeBench();
      try {
        const store = await bench.location.open();
        await body(t)(bench, store);
        await store.close();
      } finally {
        await bench.remove();
      }
    });

  contract('what is staged is read at once, and still after its flush', (t) => async (_, store) => {
    store.stage([{ key: 'a', value: bytes('1') }]);
    store.stage([{ key: 'b', value: bytes('1') }]);
    store.stage([{ key: 'a', value: bytes('2') }, { key: 'b' }, { key: 'c', value: bytes('') }]);
    t.deepEqual(bytes('2'), new Uint8Array(store.get('a')!));
    t.is(store.get('b'), undefined);
    t.is(store.get('c')?.length, 0);
    t.is(store.get('d'), undefined);
    t.deepEqual(await texts(store), ['a=2', 'c=']);
    await durable(store);
    t.deepEqual(await texts(store), ['a=2', 'c=']);
    t.deepEqual(bytes('2'), new Uint8Array(store.get('a')!));
    t.is(store.get('b'), undefined);
    store.stage([{ key: 'a' }, { key: 'c' }]);
    t.is(store.get('a'), undefined);
    t.deepEqual(await texts(store), []);
  });

  contract('scans: forward, reverse, limit, deleted and replaced rows', (t) => async (_, store) => {
    store.stage('bdfhj'.split('').map((key) => ({ key, value: bytes('disk') })));
    await durable(store);
    store.stage([
      { key: 'a', value: bytes('new') },
      { key: 'd' },
      { key: 'f', value: bytes('new') },
      { key: 'g', value: bytes('new') },
      { key: 'j' },
      { key: 'k', value: bytes('new') },
    ]);
    const rows = ['a=new', 'b=disk', 'f=new', 'g=new', 'h=disk', 'k=new'];
    t.deepEqual(await texts(store), rows);
    t.deepEqual(await texts(store, { ...ALL, reverse: true }), [...rows].reverse());
    t.deepEqual(await texts(store, { gte: 'b', lt: 'h' }), rows.slice(1, 4));
    t.deepEqual(
      await texts(store, { gte: 'b', lt: 'h', reverse: true }),
      rows.slice(1, 4).reverse(),
    );
    for (let limit = 0; limit <= 7; limit++) {
      t.deepEqual(await texts(store, { ...ALL, limit }), rows.slice(0, limit));
      const reversed = await texts(store, { ...ALL, limit, reverse: true });
      t.deepEqual(reversed, [...rows].reverse().slice(0, limit));
    }
    t.deepEqual(await texts(store, { gte: 'c', lt: 'c' }), []);
    t.deepEqual(await texts(store, { gte: 'h', lt: 'b' }), []);
  });

  contract('keys order by their UTF-8 bytes, staged and on disk', (t) => async (_, store) => {
    const keys = [
      '\u{10000}',
      '\uffff',
      '\ue000',
      'é',
      'a\u0001',
      'a',
      'z',
      '\u{1f600}x',
      '\ud7ff',
    ];
    const sorted = [...keys].sort((a, b) => Buffer.compare(bytes(a), bytes(b)));
    const half = keys.filter((_key, i) => i % 2 === 0);
    store.stage(half.map((key) => ({ key, value: bytes('') })));
    await durable(store);
    store.stage(keys.map((key) => ({ key, value: bytes('') })));
    const order = async (): Promise<string[]> =>
      (await collect(store)).map(([key]) => encodeURI(key));
    t.deepEqual(await order(), sorted.map(encodeURI));
    await durable(store);
    t.deepEqual(await order(), sorted.map(encodeURI));
    t.deepEqual(
      await texts(store, { gte: '\ue000', lt: '\u{10000}' }),
      ['\ue000', '\uffff'].map((key) => `${encodeURI(key)}=`),
    );
  });

  contract('callbacks run once each, in the order of staging', (t) => async (_, store) => {
    const order: number[] = [];
    for (let i = 0; i < 300; i++) {
      const value = new Uint8Array(i % 7 === 0 ? 4_096 : 1);
      store.stage(i % 5 === 0 ? [] : [{ key: `k${i}`, value }], () => {
        order.push(i);
        if (i === 10) store.stage([], () => order.push(1_000));
      });
      if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    t.true(order.length < 300);
    await durable(store);
    await durable(store);
    t.deepEqual(
      order.filter((i) => i < 1_000),
      Array.from({ length: 300 }, (_value, i) => i),
    );
    t.is(order.filter((i) => i === 1_000).length, 1);
    t.is(store.stagedBytes(), 0);
  });

  contract('no callback runs before the group is on disk', (t) => async (bench, store) => {
    let ran = false;
    bench.failDisk();
    store.stage([{ key: 'a', value: bytes('1') }], () => (ran = true));
    t.true(store.stagedBytes() > 0);
    await until('the disk fails', () => store.status().state === 'failing');
    t.false(ran);
    bench.healDisk();
    await until('the callback runs', () => ran);
    t.is(store.stagedBytes(), 0);
  });

  contract('rows of the hook join each group that is cut', (t) => async (bench, store) => {
    let cuts = 0;
    let open = true;
    store.addBeforeFlush(() => (open ? [{ key: 'cuts', value: bytes(String(++cuts)) }] : []));
    store.addBeforeFlush(() => (open ? [{ key: 'second', value: bytes(String(cuts)) }] : []));
    store.stage([{ key: 'a', value: bytes('1') }]);
    store.stage([{ key: 'b', value: bytes('1') }]);
    await durable(store);
    t.is(cuts, 1);
    store.stage([{ key: 'a', value: bytes('2') }]);
    await durable(store);
    t.is(cuts, 2);
    open = false;
    await store.close();
    const again = await bench.location.open();
    t.deepEqual(await texts(again), ['a=2', 'b=1', 'cuts=2', 'second=2']);
    await again.close();
  });

  contract('a failing disk drops nothing and resumes by itself', (t) => async (bench, store) => {
    const states: StoreStatus['state'][] = [];
    store.onStatus((status) => states.push(status.state));
    store.stage([{ key: 'old', value: bytes('1') }]);
    await durable(store);
    bench.failDisk();
    const order: number[] = [];
    store.stage([{ key: 'a', value: bytes('1') }], () => order.push(1));
    await until('the disk fails', () => store.status().state === 'failing');
    store.stage([{ key: 'a', value: bytes('2') }, { key: 'old' }], () => order.push(2));
    store.stage([{ key: 'b', value: bytes('2') }], () => order.push(3));
    t.deepEqual(await texts(store), ['a=2', 'b=2']);
    t.is(store.get('old'), undefined);
    const status = store.status();
    t.true(status.state === 'failing' && status.sinceMs > 0 && status.error instanceof Error);
    await new Promise((resolve) => setTimeout(resolve, 50));
    t.deepEqual(order, []);
    bench.healDisk();
    await until('all is durable', () => order.length === 3);
    t.deepEqual(order, [1, 2, 3]);
    t.deepEqual(states, ['failing', 'ok']);
    t.is(store.status().state, 'ok');
    await store.close();
    const again = await bench.location.open();
    t.deepEqual(await texts(again), ['a=2', 'b=2']);
    await again.close();
  });

  contract(
    'close flushes what is staged, and a reopened store has it all',
    (t) => async (bench, store) => {
      let called = 0;
      for (let i = 0; i < 100; i++)
        store.stage([{ key: `k${i}`, value: bytes('v') }], () => called++);
      store.stage([{ key: 'k7' }]);
      await store.close();
      t.is(called, 100);
      t.throws(() => store.stage([]), { code: 'STORE_CLOSED' });
      t.throws(() => store.get('k1'), { code: 'STORE_CLOSED' });
      const again = await bench.location.open();
      t.is((await collect(again)).length, 99);
      t.is(again.get('k7'), undefined);
      await again.close();
    },
  );

  contract(
    'close on a failing disk ends, and what was durable is kept',
    (t) => async (bench, store) => {
      store.stage([{ key: 'kept', value: bytes('1') }]);
      await durable(store);
      bench.failDisk();
      let called = false;
      store.stage([{ key: 'lost', value: bytes('1') }], () => (called = true));
      await until('the disk fails', () => store.status().state === 'failing');
      await store.close();
      t.false(called);
      bench.healDisk();
      const again = await bench.location.open();
      t.deepEqual(await texts(again, { gte: 'k', lt: 'l' }), ['kept=1']);
      await again.close();
    },
  );

  contract('a second opener is refused, a later one is not', (t) => async (bench, store) => {
    await t.throwsAsync(() => bench.location.open(), { code: 'STORE_LOCKED' });
    await store.close();
    const again = await bench.location.open();
    await again.close();
  });

  contract(
    'a store that is set aside leaves an empty one and can be read',
    (t) => async (bench, store) => {
      store.stage([{ key: 'a', value: bytes('1') }]);
      await durable(store);
      await t.throwsAsync(() => bench.location.setAside('rolled back'), { code: 'STORE_LOCKED' });
      await store.close();
      const name = await bench.location.setAside('rolled back');
      const fresh = await bench.location.open();
      t.deepEqual(await texts(fresh), []);
      const aside = await bench.location.openAside(name);
      t.deepEqual(await texts(aside), ['a=1']);
      await aside.close();
      await fresh.close();
      await t.throwsAsync(() => bench.location.openAside('../elsewhere'), {
        code: 'STORE_OPEN_FAILED',
      });
    },
  );

  contract(
    'a store is marked from the decision to set it aside until it was read',
    (t) => async (bench, store) => {
      const { location } = bench;
      t.is(await location.condemned(), undefined);
      await location.condemn('forgotten');
      t.is(await location.condemned(), 'forgotten');
      t.is(await location.unreadAside(), undefined);
      await store.close();
      const first = await location.setAside('forgotten');
      t.is(await location.condemned(), undefined);
      const between = await location.open();
      await between.close();
      const second = await location.setAside('rolled back');
      t.is(await location.unreadAside(), second);
      await location.noteRead(second);
      t.is(await location.unreadAside(), first);
      await location.noteRead(first);
      t.is(await location.unreadAside(), undefined);
      await location.noteRead(first);
    },
  );

  contract('a long scan has every row once, while others come and go', (t) => async (_, store) => {
    const keys = Array.from({ length: 3_500 }, (_value, i) => `s${String(i).padStart(5, '0')}`);
    store.stage(keys.map((key) => ({ key, value: bytes('v') })));
    for (const reverse of [false, true]) {
      const seen: string[] = [];
      let round = 0;
      for await (const chunk of store.scan({ gte: 's', lt: 't', reverse })) {
        t.true(chunk.length <= 1_000);
        seen.push(...chunk.map(([key]) => key).filter((key) => !key.includes('x')));
        const value = bytes(String(++round));
        store.stage(
          keys.filter((_key, i) => i % 50 === 0).map((key) => ({ key: `${key}x`, value })),
        );
        if (round % 2 === 0) await durable(store);
        store.stage(keys.filter((_key, i) => i % 100 === 0).map((key) => ({ key: `${key}x` })));
      }
      t.deepEqual(seen, reverse ? [...keys].reverse() : keys);
    }
  });
}
