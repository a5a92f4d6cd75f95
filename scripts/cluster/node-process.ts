import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

export type ProcessState = 'stopped' | 'running' | 'paused';

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the process. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard output and error are appended to it. */
  readonly logPath: string;
  /** Answers 200 as soon as the process is ready. */
  readonly readyUrl: string;
  readonly onLine?: ((line: string) => void) | undefined;
}

const TAIL_LINES = 200;
const LOG_CLOSE_MS = 1_000;

/**
 * One process that may be killed, paused, stopped and started again. It leads a process group of its own,
 * so that Ctrl-C reaches only the one that started it; what is signalled is this pid, never a name.
 */
export class NodeProcess {
  readonly #spec: ProcessSpec;
  readonly #tail: string[] = [];
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #paused = false;
  #lastExit = '';

  constructor(spec: ProcessSpec) {
    this.#spec = spec;
  }

  get name(): string {
    return this.#spec.name;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get state(): ProcessState {
    if (!this.#child) return 'stopped';
    return this.#paused ? 'paused' : 'running';
  }

  /** How the last run ended, empty before the first end. */
  get lastExit(): string {
    return this.#lastExit;
  }

  /** The last lines of its output. */
  tail(): readonly string[] {
    return this.#tail;
  }

  start(): void {
    if (this.#child) throw new Error(`${this.name} runs already (pid ${this.#child.pid})`);
    const { command, args, env, logPath } = this.#spec;
    mkdirSync(dirname(logPath), { recursive: true });
    const log = createWriteStream(logPath, { flags: 'a' });
    const child = spawn(command, args, {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#paused = false;
    this.#readLines(child, log);
    const onParentExit = (): void => void child.kill('SIGKILL');
    process.once('exit', onParentExit);
    const logged = new Promise<void>((resolve) => log.once('close', resolve));
    this.#exited = new Promise((resolve) => {
      const onEnd = (how: string): void => {
        process.off('exit', onParentExit);
        this.#lastExit = how;
        if (this.#child === child) this.#child = undefined;
        this.#spec.onLine?.(`ended: ${how}`);
        // Whoever waits for the end reads the log next; a child of its own may hold the pipe open for ever.
        const timer = setTimeout(resolve, LOG_CLOSE_MS);
        void logged.then(() => (clearTimeout(timer), resolve()));
      };
      child.once('error', (error) => onEnd(error.message));
      child.once('exit', (code, signal) => onEnd(signal ?? `exit code ${code}`));
    });
  }

  /** Rejects where the process ends first, or is not ready in time, with its last lines. */
  async whenReady(timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    let answer = 'no answer';
    for (;;) {
      if (!this.#child) throw this.#failure(`ended (${this.#lastExit}) before it was ready`);
      try {
        const signal = AbortSignal.timeout(1_000);
        const response = await fetch(this.#spec.readyUrl, { signal });
        const body = await response.text();
        if (response.ok) return;
        answer = `${response.status} ${body.slice(0, 300)}`;
      } catch (error) {
        answer = (error as Error).message;
      }
      if (performance.now() > end) {
        throw this.#failure(`is not ready after ${timeoutMs} ms (${answer})`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** kill -9. */
  async kill9(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  /** SIGSTOP: it keeps its connections and answers nothing. */
  pause(): void {
    this.#running().kill('SIGSTOP');
    this.#paused = true;
  }

  resume(): void {
    this.#running().kill('SIGCONT');
    this.#paused = false;
  }

  /** SIGTERM, and kill -9 where it has not ended after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    const child = this.#child;
    if (!child) return;
    child.kill('SIGTERM');
    // A paused process gets its SIGTERM only once it goes on.
    if (this.#paused) this.resume();
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await this.#exited;
    clearTimeout(timer);
  }

  #running(): ChildProcess {
    if (!this.#child) throw new Error(`${this.name} does not run`);
    return this.#child;
  }

  #failure(what: string): Error {
    return new Error(
      [`${this.name} ${what}; its last lines:`, ...this.#tail.slice(-30)].join('\n'),
    );
  }

  #readLines(child: ChildProcess, log: WriteStream): void {
    let open = 2;
    for (const stream of [child.stdout!, child.stderr!]) {
      const lines = createInterface({ input: stream });
      lines.on('line', (line) => {
        log.write(`${line}\n`);
        if (this.#tail.push(line) > TAIL_LINES) this.#tail.shift();
        this.#spec.onLine?.(line);
      });
      lines.once('close', () => {
        if (--open === 0) log.end();
      });
    }
  }
}
