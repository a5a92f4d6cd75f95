import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Asset } from '../page-assets.ts';
import type { ApiContext } from '../port.ts';

/** What the page needs before anyone has a token; it tells no more than where clients connect. */
export const PAGE_CONFIG_PATH = '/page/config';

export function addPageRoutes(
  server: FastifyInstance,
  context: ApiContext,
  assets: ReadonlyMap<string, Asset>,
): void {
  const { cluster, clientAddressFor } = context;

  for (const [path, asset] of assets) {
    server.get(path, (request, reply) => {
      void reply.headers({ etag: asset.etag, 'cache-control': 'no-cache' });
      if (request.headers['if-none-match'] === asset.etag) return reply.code(304).send();
      if (path === '/') guardPage(reply, connectSources());
      if (path === '/operator') guardPage(reply, '');
      return reply.type(asset.contentType).send(asset.bytes);
    });
  }

  server.get(PAGE_CONFIG_PATH, () => {
    const address = clientAddressFor(undefined);
    const { self, members } = cluster();
    const node = members.find((member) => member.clientAddress === address)?.id ?? self;
    return JSON.stringify({ node, address });
  });

  server.get('/page/cluster', () => {
    const { self, members, live, sessions } = cluster();
    return JSON.stringify({
      node: self,
      sessions,
      members: members.map(({ id, slot, clientAddress, httpAddress }) => ({
        id,
        slot,
        client_address: clientAddress,
        http_address: httpAddress,
        live: id === self || live.has(id),
      })),
    });
  });

  /** Only this cluster's own client addresses: a script that got in could talk to nobody else. */
  function connectSources(): string {
    const addresses = [
      clientAddressFor(undefined),
      ...cluster().members.map((m) => m.clientAddress),
    ];
    const sources = new Set<string>();
    for (const address of addresses) {
      if (!URL.canParse(address)) continue;
      const { protocol, host } = new URL(address);
      sources.add(`${protocol}//${host}`);
    }
    return [...sources].join(' ');
  }
}

function guardPage(reply: FastifyReply, connectSources: string): void {
  void reply.headers({
    'content-security-policy':
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
      `connect-src 'self' ${connectSources}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'x-frame-options': 'DENY',
  });
}
