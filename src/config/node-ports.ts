import type { Config } from './config.ts';
import type { Breach } from './rules.ts';

const PORT_MAX = 65_535;
const LISTENERS = ['client', 'http', 'admin', 'peer'] as const;

export interface NodePorts {
  readonly written: Config;
  /** The same for node k of its machine, whose ports are higher. */
  readonly own: Config;
  readonly k: number;
}

/** Whether node k can listen, and be reached, where its number leads. */
export function checkNodePorts({ written, own, k }: NodePorts): readonly Breach[] {
  return LISTENERS.flatMap((name, index) => {
    const [before, { host, port, advertise }] = [written.listen[name], own.listen[name]];
    const path = ['listen', name];
    const breaches: Breach[] = [];
    const most = PORT_MAX - (port - before.port);
    const allowed = `a port up to ${most}, so that node ${k} has one too`;
    if (port > PORT_MAX) {
      const found = `${before.port}, which is ${port} for node ${k}`;
      breaches.push({ path: [...path, 'port'], found, allowed });
    }
    const advertised = Number(/:(\d+)$/.exec(advertise ?? '')?.[1] ?? 0);
    if (advertised > PORT_MAX) {
      const found = `${JSON.stringify(before.advertise)}, which is ${advertise} for node ${k}`;
      breaches.push({ path: [...path, 'advertise'], found, allowed });
    }
    const same = LISTENERS.slice(0, index).find((earlier) => {
      const other = own.listen[earlier];
      const meet = other.host === host || [other.host, host].includes('0.0.0.0');
      return port !== 0 && other.port === port && meet;
    });
    if (same !== undefined) {
      const found = `${before.port}, which is ${port} for node ${k}, as is listen.${same}.port`;
      const other = 'a port of its own for each listener, with --node too';
      breaches.push({ path: [...path, 'port'], found, allowed: other });
    }
    return breaches;
  });
}
