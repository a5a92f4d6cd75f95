import { readFileSync } from 'node:fs';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { AdminCallError, AdminClient } from '../client.ts';
import { addTlsOptions, tlsChannel, type TlsChannel, type TlsFlags } from './tls.ts';

/** Exit codes of every admin command. */
export const EXIT = { failed: 1, usage: 2, unreachable: 3 } as const;

export interface ConnectionFlags extends TlsFlags {
  readonly address: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly timeoutMs: number;
  readonly json?: boolean;
}

/** A mistake in how the command was called. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'USAGE';
}

/** The options that every command has. */
export function addConnectionOptions(command: Command): Command {
  return addTlsOptions(command)
    .addOption(
      new Option('-a, --address <host:port>', 'admin address of the node')
        .env('HOLDFAST_ADDRESS')
        .default('127.0.0.1:5300'),
    )
    .addOption(new Option('--token <token>', 'admin token').env('HOLDFAST_ADMIN_TOKEN'))
    .option('--token-file <path>', 'file that holds the admin token')
    .option('--timeout-ms <ms>', 'longest wait for an answer', wholeNumber, 10_000)
    .option('--json', 'one JSON object a line')
    .exitOverride((error) => {
      // Commander has printed the message; help and version are no mistakes.
      process.exit(error.exitCode === 0 ? 0 : EXIT.usage);
    });
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) {
    throw new InvalidArgumentError(`Expected a whole number, found "${text}".`);
  }
  return Number(text);
}

/** Runs one command with a client of its own; what fails becomes one line and an exit code. */
export async function withClient(
  flags: ConnectionFlags,
  run: (client: AdminClient) => Promise<void>,
): Promise<void> {
  let client: AdminClient | undefined;
  try {
    client = openClient(flags, flags.address);
    await run(client);
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    process.stderr.write(`holdfast: ${lineOf(error)}\n`);
  } finally {
    client?.close();
  }
}

export function openClient(flags: ConnectionFlags, address: string): AdminClient {
  if (!/^.+:\d{1,5}$/.test(address)) {
    throw new UsageError(`--address: expected host:port, found "${address}"`);
  }
  const { timeoutMs } = flags;
  return new AdminClient({
    ...{ address, timeoutMs, token: readToken(flags) },
    ...readTls(flags, address),
  });
}

function readTls(flags: ConnectionFlags, address: string): TlsChannel {
  try {
    return tlsChannel(flags, address);
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

function readToken({ token, tokenFile }: ConnectionFlags): string | undefined {
  if (tokenFile === undefined) return firstOf(token ?? '');
  try {
    return firstOf(readFileSync(tokenFile, 'utf8'));
  } catch (error) {
    throw new UsageError(`--token-file: ${(error as Error).message}`, { cause: error });
  }
}

/** The node takes the same variable and file as a list while tokens rotate; the first is presented. */
function firstOf(text: string): string | undefined {
  return text.split(/[\s,]+/).find((token) => token !== '');
}

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof AdminCallError && error.unreachable) return EXIT.unreachable;
  return EXIT.failed;
}

function lineOf(error: unknown): string {
  const message = error instanceof Error ? error.message.trim() : String(error);
  const code = error instanceof AdminCallError && !error.unreachable ? ` (${error.code})` : '';
  return message.replaceAll(/\s+/g, ' ') + code;
}
