import { createRequire } from 'node:module';
import type { Writable } from 'node:stream';
import { pino, type Logger } from 'pino';
import type PinoPretty from 'pino-pretty';

export type LogFields = Record<string, unknown>;

/** What every room takes to log through. A message says what happened, the fields say to what. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds `fields` to every line. */
  child(fields: LogFields): Log;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LogOptions {
  readonly level: LogLevel;
  /** Coloured lines for people; otherwise one JSON object a line. */
  readonly pretty: boolean;
  /** Standard output where absent. */
  readonly destination?: Writable | undefined;
}

/**
 * Fields that are never written whatever a caller passes: what users say, and what opens doors. The
 * callers leave them out; this is the net under them.
 */
const NEVER_LOGGED = [
  'payload',
  'body',
  'token',
  'tokens',
  'secret',
  'secrets',
  'managerToken',
  'password',
  'authorization',
];

/** Writes JSON lines with an ISO time in UTC, or pretty ones. Errors are logged with code and cause. */
export function createLog(options: LogOptions): Log {
  const settings = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    messageKey: 'message',
    errorKey: 'error',
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: describeError, reason: describeError, cause: describeError },
    redact: {
      paths: NEVER_LOGGED.flatMap((name) => [name, `*.${name}`]),
      censor: '(not logged)',
    },
  };
  const destination = options.destination ?? pino.destination({ fd: 1, sync: true });
  if (!options.pretty) return wrap(pino(settings, destination));
  // Only people at a terminal need it: neither commands nor nodes in production wait until it is loaded.
  const pretty = createRequire(import.meta.url)('pino-pretty') as typeof PinoPretty;
  const stream = pretty({
    destination,
    sync: true,
    colorize: options.destination === undefined,
    messageKey: 'message',
    errorLikeObjectKeys: ['error'],
    translateTime: 'UTC:HH:MM:ss.l',
    singleLine: true,
  });
  return wrap(pino(settings, stream));
}

/** For tests and for what must not speak. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};

function wrap(logger: Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (fields) => wrap(logger.child(fields)),
  };
}

/** Expected errors carry a code and need no stack; what has none is a defect, so its stack is kept. */
function describeError(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const code = 'code' in value && typeof value.code === 'string' ? value.code : undefined;
  return {
    message: value.message,
    ...(code === undefined ? { stack: value.stack } : { code }),
    ...(value.cause === undefined ? {} : { cause: describeError(value.cause) }),
  };
}
