import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** A measured process: its own CPU time and memory, from the kernel's accounts. */
export class Measured {
  readonly child: ChildProcess;
  #output = '';

  constructor(child: ChildProcess) {
    this.child = child;
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-20_000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
  }

  get pid(): number {
    return this.child.pid!;
  }

  output(): string {
    return this.#output;
  }

  /** User and system time since its start. Seconds; the kernel counts in ticks of 10 ms. */
  cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Resident memory. Bytes. */
  rssBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => {
      this.child.once('exit', resolve);
    });
    this.child.kill(signal);
    const giveUp = setTimeout(() => this.child.kill('SIGKILL'), 15_000);
    await ended;
    clearTimeout(giveUp);
  }
}

export interface Start {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Core to run on; undefined: any. */
  readonly core?: number | undefined;
}

const TASKSET = '/usr/bin/taskset';

/** Starts Node with `args`, on one core where the machine lets us choose. */
export function startNode({ args, env, core }: Start): Measured {
  const pinned = core !== undefined && existsSync(TASKSET);
  const command = pinned ? TASKSET : process.execPath;
  const full = pinned ? ['-c', String(core), process.execPath, ...args] : [...args];
  const child = spawn(command, full, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return new Measured(child);
}

export async function waitFor(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 30_000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await pause(20);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
