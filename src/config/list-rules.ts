import { isSection, type Draft } from './draft.ts';
import type { Breach } from './rules.ts';

const MAY_BE_SHARED: readonly string[] = ['client_address', 'http_address'];
const ADDRESSES = ['peer_address', 'client_address', 'http_address', 'admin_address'] as const;

/**
 * The rules between the items of a list, on what was written: an item with a mistake of another kind is
 * looked at as well, so that one mistake does not hide another.
 */
export function checkLists(draft: Draft): readonly Breach[] {
  const byEtcd = draft.get(['membership', 'mode']) === 'etcd';
  return [...(byEtcd ? [] : members(draft)), ...receivers(draft)];
}

function members(draft: Draft): Breach[] {
  const items = itemsOf(draft, ['members']);
  return ['id', 'slot', ...ADDRESSES].flatMap((key) =>
    doubled(items, key).map(({ index, earlier, value }) => ({
      path: ['members', index, key],
      found: `${JSON.stringify(value)}, which members.${earlier} has too`,
      allowed: 'one of its own for each member',
    })),
  );
}

/** Receivers have names of their own, and what they get is signed. */
function receivers(draft: Draft): Breach[] {
  const path = ['webhooks', 'endpoints'];
  const items = itemsOf(draft, path);
  const names = doubled(items, 'name').map(({ index, value }) => ({
    path: [...path, index, 'name'],
    found: JSON.stringify(value),
    allowed: 'a name of its own for each receiver',
  }));
  if (!isNone(draft.get(['webhooks', 'secret']))) return names;
  const unsigned = items.flatMap((item, index) => {
    if (!isSection(item) || !isNone(item['secret'])) return [];
    const allowed = 'a secret to sign with, here or as webhooks.secret';
    return [{ path: [...path, index, 'secret'], found: 'nothing', allowed }];
  });
  return [...names, ...unsigned];
}

function itemsOf(draft: Draft, path: readonly string[]): readonly unknown[] {
  const items = draft.get(path);
  return Array.isArray(items) ? items : [];
}

function isNone(secret: unknown): boolean {
  return secret === undefined || (Array.isArray(secret) && secret.length === 0);
}

interface Doubled {
  readonly index: number;
  readonly earlier: number;
  readonly value: string | number;
}

function doubled(items: readonly unknown[], key: string): readonly Doubled[] {
  const first = new Map<string | number, number>();
  return items.flatMap((item, index) => {
    const value = isSection(item) ? item[key] : undefined;
    if (typeof value !== 'string' && typeof value !== 'number') return [];
    if (MAY_BE_SHARED.includes(key) && !isOfOneMachine(String(value))) return [];
    const same = typeof value === 'string' && key.endsWith('_address') ? plain(value) : value;
    const earlier = first.get(same);
    if (earlier !== undefined) return [{ index, earlier, value }];
    first.set(same, index);
    return [];
  });
}

/** Before others a balancer may stand; behind this machine's own there is one port each. */
function isOfOneMachine(address: string): boolean {
  return /^[a-z]+:\/\/(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])[:/]/i.test(`${address}/`);
}

/** Names of hosts have no case, and an address may end with a slash. */
function plain(address: string): string {
  return address.toLowerCase().replace(/\/$/, '');
}
