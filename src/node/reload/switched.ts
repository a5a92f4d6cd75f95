import type { ConfigChange } from '../../config/reload-port.ts';
import type { Config } from '../../config/config.ts';
import {
  LISTENER_NAMES,
  type ListenerName,
  type Listeners,
} from '../../connections/listener-port.ts';

type Listed = Pick<Listeners, 'list'>;

/**
 * What an operator switched by hand and the file says otherwise. It stays: an edit of another key must not
 * let clients in to a node that was turned off. So it has to be told.
 */
export function switchedByHand(listeners: Listed, { listen }: Config): readonly string[] {
  return LISTENER_NAMES.flatMap((name) => {
    const wanted = listen[name].enabled !== false;
    const is = isEnabled(listeners, name);
    if (is === undefined || is === wanted) return [];
    const verb = wanted ? 'enable' : 'disable';
    return [
      `listen.${name}.enabled: ${wanted} in the file, and the listener is ${is ? 'enabled' : 'disabled'}, ` +
        `as an operator left it: holdfast listener ${verb} ${name}`,
    ];
  });
}

/** `changes`, with a word at those that say what an operator did before. */
export function withSwitched(
  listeners: Listed,
  changes: readonly ConfigChange[],
): readonly ConfigChange[] {
  return changes.map((change) => {
    const name = LISTENER_NAMES.find((one) => change.path === `listen.${one}.enabled`);
    if (!name) return change;
    const wanted = change.after !== 'false';
    if (isEnabled(listeners, name) !== wanted) return change;
    return { ...change, note: `it was ${wanted ? 'enabled' : 'disabled'} already, by an operator` };
  });
}

/** A drain ends by itself, and enabled again. Undefined: it is on its way, or there is none. */
function isEnabled(listeners: Listed, name: ListenerName): boolean | undefined {
  const state = listeners.list().find((one) => one.name === name)?.state;
  if (state === undefined || state === 'disabling') return undefined;
  return state !== 'disabled';
}
