import { createHash, timingSafeEqual } from 'node:crypto';
import {
  ResponderBuilder,
  ServerInterceptingCall,
  ServerListenerBuilder,
  status,
  type Metadata,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { AdminError, toStatus } from './errors.ts';

/** Open to everyone: probes of container platforms cannot send metadata, and it tells nothing else. */
const OPEN_METHODS: ReadonlySet<string> = new Set(['/grpc.health.v1.Health/Check']);

export interface AccessOptions {
  /**
   * Valid bearer tokens; empty: everyone may call (the caller has made sure of loopback). A function
   * where they rotate: asked with each call, the same array as long as nothing changed.
   */
  readonly tokens: readonly string[] | (() => readonly string[]);
  /** After every call, refused ones too. `method` as `/package.Service/Method`. */
  readonly onCall?: ((method: string, code: status) => void) | undefined;
}

/** Whether a call that was let in would be so with these tokens too. */
export function isStillLetIn(metadata: Metadata, tokens: readonly string[]): boolean {
  return check(metadata, tokens.map(digestOf)) === undefined;
}

/** Checks the token before anything of the request is read, for every service on the server. */
export function accessInterceptor(options: AccessOptions): ServerInterceptor {
  const { tokens } = options;
  const current = typeof tokens === 'function' ? tokens : () => tokens;
  let known = current();
  let digests = known.map(digestOf);
  return (method, call) => {
    const responder = new ResponderBuilder()
      .withStart((next) => {
        const listener = new ServerListenerBuilder()
          .withOnReceiveMetadata((metadata, forward) => {
            if (current() !== known) {
              known = current();
              digests = known.map(digestOf);
            }
            const refusal = OPEN_METHODS.has(method.path) ? undefined : check(metadata, digests);
            if (refusal) call.sendStatus(report(method.path, refusal));
            else forward(metadata);
          })
          .build();
        next(listener);
      })
      .withSendStatus((result, next) => {
        options.onCall?.(method.path, result.code ?? status.OK);
        next(result);
      })
      .build();
    return new ServerInterceptingCall(call, responder);
  };

  function report(path: string, refusal: AdminError): ReturnType<typeof toStatus> {
    options.onCall?.(path, refusal.code);
    return toStatus(refusal);
  }
}

function check(metadata: Metadata, digests: readonly Buffer[]): AdminError | undefined {
  if (digests.length === 0) return undefined;
  const values = metadata.get('authorization');
  if (values.length === 0) {
    return unauthenticated('no token: send metadata "authorization: Bearer <token>"');
  }
  const match = values.length === 1 ? /^Bearer +(\S+) *$/i.exec(String(values[0])) : null;
  if (!match)
    return unauthenticated('metadata "authorization" is not of the form "Bearer <token>"');
  const given = digestOf(match[1]!);
  // Every token is compared, so the time tells neither which one fits nor how far it did.
  let valid = false;
  for (const digest of digests) valid = timingSafeEqual(given, digest) || valid;
  return valid ? undefined : unauthenticated('the token is not valid on this node');
}

function unauthenticated(message: string): AdminError {
  return new AdminError(status.UNAUTHENTICATED, message);
}

/** Equal lengths are what timingSafeEqual needs; the hash gives them. */
function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
  );
}
