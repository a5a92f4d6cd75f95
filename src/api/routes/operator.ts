import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HttpError } from '../http-error.ts';
import type { OperatorPort } from '../operator-port.ts';
import { OperatorSessions } from '../operator-sessions.ts';
import type { ApiContext } from '../port.ts';

/** They have a check of their own, so the manager token is not asked for. */
export const OPERATOR_PATHS: readonly string[] = [
  '/operator/login',
  '/operator/logout',
  '/operator/call/:name',
];
const TOKEN_LENGTH_MAX = 4096;
const TELL_EVERY_MS = 1_000;

/** The calls of the operator's page: a login by token, then the calls of the admin service as JSON. */
export function addOperatorRoutes(server: FastifyInstance, context: ApiContext): void {
  const { operator, random, log } = context;
  const sessions = operator && new OperatorSessions(operator, random);
  const cookie = cookieName(context);
  let refused = 0;
  let toldMs = -Infinity;
  const attributes = `Path=/operator; HttpOnly; SameSite=Strict${context.tls ? '; Secure' : ''}`;

  server.post('/operator/login', (request, reply) => {
    const { open } = enter(request);
    if (open) return '{"status":200}';
    const { token } = (request.body ?? {}) as { token?: unknown };
    if (typeof token !== 'string' || token.length > TOKEN_LENGTH_MAX) {
      throw new HttpError(400, 'token: expected text');
    }
    const id = sessions!.open(token);
    if (id === undefined) {
      refused += 1;
      tellRefused(request.ip);
      throw new HttpError(401, 'the token is not valid on this node');
    }
    void reply.header(
      'set-cookie',
      `${cookie}=${id}; Max-Age=${OperatorSessions.lifetimeSeconds}; ${attributes}`,
    );
    return '{"status":200}';
  });

  server.post('/operator/logout', (request, reply) => {
    enter(request);
    sessions!.close(readCookie(request, cookie));
    void reply.header('set-cookie', `${cookie}=; Max-Age=0; ${attributes}`);
    return '{"status":200}';
  });

  server.post<{ Params: { name: string } }>('/operator/call/:name', (request) => {
    const { port, open } = enter(request);
    if (!open && !sessions!.isOpen(readCookie(request, cookie))) {
      throw new HttpError(401, 'log in first: the session is over');
    }
    return port.answer(request.params.name, request.body).then((answer) => {
      if (!answer.ok) throw new HttpError(answer.status, answer.message);
      return JSON.stringify(answer.value);
    });
  });

  /** At most once a second: whoever tries tokens does not fill the log. */
  function tellRefused(from: string): void {
    const nowMs = operator!.nowMs();
    if (Math.abs(nowMs - toldMs) < TELL_EVERY_MS) return;
    log.warn("logins on the operator's page were refused", { from, logins: refused });
    toldMs = nowMs;
    refused = 0;
  }

  /** Throws where the page is not to be used here, or the request comes from another page. */
  function enter(request: FastifyRequest): { readonly port: OperatorPort; readonly open: boolean } {
    refuseOtherPages(request);
    if (!operator) throw new HttpError(501, "this node has no operator's page");
    const open = operator.tokens().length === 0;
    if (open && !operator.openWithoutToken) {
      throw new HttpError(403, 'admin.token: is not set, so the page works on loopback only');
    }
    return { port: operator, open };
  }
}

/**
 * Stricter than the list of origins: no other page, however trusted with the API, acts as an operator. A
 * caller that sends neither header is no browser, and has no cookie but what it was given.
 */
function refuseOtherPages({ headers }: FastifyRequest): void {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  const foreign = origin !== undefined && !/^https?:$/.test(protocolOf(origin, host));
  if (foreign || (site !== undefined && site !== 'same-origin')) {
    throw new HttpError(403, 'only the page of this node may do this');
  }
}

/** Empty where the origin is not of this host. */
function protocolOf(origin: string, host: string | undefined): string {
  if (!URL.canParse(origin)) return '';
  const { protocol, host: authority } = new URL(origin);
  return authority === host?.toLowerCase() ? protocol : '';
}

/** Cookies know no ports, and several nodes may be on one host: each has its own. */
function cookieName({ cluster }: ApiContext): string {
  const id = createHash('sha256').update(cluster().self).digest('hex').slice(0, 12);
  return `holdfast-operator-${id}`;
}

function readCookie({ headers }: FastifyRequest, name: string): string {
  for (const part of (headers.cookie ?? '').split(';')) {
    const [key = '', value = ''] = part.trim().split('=', 2);
    if (key === name) return value;
  }
  return '';
}
