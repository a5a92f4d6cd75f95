import type { Config } from './config.ts';
import type { ConfigChange } from './reload-port.ts';

type Steps = readonly string[];
type Leaves = ReadonlyMap<string, { readonly steps: Steps; readonly value: unknown }>;

/** Keys of `Config` that have another name in the file. */
const WRITTEN: Readonly<Record<string, string>> = {
  'cluster.secrets': 'cluster.secret',
  'http.manager_tokens': 'http.manager_token',
  'admin.tokens': 'admin.token',
};
const SECRETS: ReadonlySet<string> = new Set([...Object.values(WRITTEN), 'webhooks.secret']);

const NEW_SESSIONS = 'open sockets keep the one they began with';
const STAYS = 'the new address was bound first, open sockets stay';

/** What a running node takes, and what that means. Everything else waits for a restart. */
const LIVE: readonly (readonly [RegExp, string])[] = [
  [/^listen\.client\.(?:host|port)$/, STAYS],
  [/^listen\.http\.(?:host|port)$/, 'the new address was bound first, requests in work may end'],
  [/^listen\.admin\.(?:host|port)$/, 'the new address was bound first, open calls may end'],
  [/^listen\.(?:client|http)\.enabled$/, ''],
  [/^gateway\.auth$/, ''],
  [/^gateway\.(?:idle_seconds|queue_hard_bytes)$/, NEW_SESSIONS],
  [/^gateway\.(?:frame_bytes_max|queue_soft_bytes|sessions_max|connect_deadline_ms)$/, ''],
  [/^gateway\.subscriptions_per_session_max$/, ''],
  [/^gateway\.(?:frames|sends|queries|drain_sessions)_per_second$/, ''],
  [/^gateway\.(?:drain_resume_ms|origins_allowed|hosts_allowed)$/, ''],
  [/^http\.hosts_allowed$/, ''],
  [/^http\.manager_token$/, 'asked for with each request'],
  [/^admin\.token$/, 'what began with one that is gone ends'],
  [/^cluster\.secret$/, 'for new links'],
];

/**
 * Key by key, in the order of the file. Both are complete, so that a default that is written out, or a
 * variable that wins over the file, is no change.
 */
export function compareConfigs(before: Config, after: Config): readonly ConfigChange[] {
  const [old, next] = [leavesOf(before), leavesOf(after)];
  const paths = [...new Set([...old.keys(), ...next.keys()])];
  return paths.flatMap((path) => {
    const [was, is] = [old.get(path)?.value, next.get(path)?.value];
    if (JSON.stringify(was) === JSON.stringify(is)) return [];
    const shown = { path, before: show(path, was), after: show(path, is) };
    return [{ ...shown, ...effectOf(path, is) }];
  });
}

/** `current` with those values of `next` that `paths` name. */
export function withChanges(current: Config, next: Config, paths: ReadonlySet<string>): Config {
  const made = structuredClone(current) as unknown as Record<string, unknown>;
  const [old, leaves] = [leavesOf(current), leavesOf(next)];
  for (const path of paths) {
    const steps = (leaves.get(path) ?? old.get(path))?.steps ?? [];
    let section = made;
    for (const step of steps.slice(0, -1)) section = section[step] as Record<string, unknown>;
    section[steps.at(-1)!] = leaves.get(path)?.value;
  }
  return made as unknown as Config;
}

function effectOf(path: string, is: unknown): Pick<ConfigChange, 'live' | 'note'> {
  const rule = LIVE.find(([pattern]) => pattern.test(path));
  if (!rule) return { live: false, note: '' };
  if (SECRETS.has(path) && (is as readonly string[]).length === 0) {
    return {
      live: false,
      note: 'the one from before stays: a port is opened to everyone at a start',
    };
  }
  if (path === 'gateway.auth' && is === 'token') {
    return { live: true, note: 'sockets that came in without a token are closed (1008)' };
  }
  return { live: true, note: rule[1] };
}

function leavesOf(config: Config): Leaves {
  const leaves = new Map<string, { readonly steps: Steps; readonly value: unknown }>();
  const walk = (value: unknown, steps: Steps): void => {
    if (value === undefined) return;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) walk(inner, [...steps, key]);
      return;
    }
    const path = steps.map(snake).join('.');
    leaves.set(WRITTEN[path] ?? path, { steps, value });
  };
  walk(config, []);
  return leaves;
}

function snake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const SHOWN_CHARACTERS_MAX = 200;

function show(path: string, value: unknown): string {
  if (value === undefined) return '(none)';
  if (SECRETS.has(path)) {
    const count = (value as readonly string[]).length;
    return count === 0 ? '(none)' : `(${count}, not shown)`;
  }
  // Their entries may hold secrets, and are many.
  if (Array.isArray(value) && value.some((item) => typeof item === 'object')) {
    return `(a list of ${value.length})`;
  }
  const text = JSON.stringify(value);
  return text.length <= SHOWN_CHARACTERS_MAX ? text : `${text.slice(0, SHOWN_CHARACTERS_MAX)}…`;
}
