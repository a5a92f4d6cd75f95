import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext } from 'node:tls';
import { credentials, type ChannelCredentials } from '@grpc/grpc-js';
import { Option, type Command } from 'commander';

export interface TlsFlags {
  readonly tls?: boolean;
  readonly tlsCa?: string;
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
}

export function addTlsOptions(command: Command): Command {
  const file = (flags: string, what: string, variable: string) =>
    command.addOption(new Option(flags, what).env(variable));
  command.option('--tls', 'speak TLS, by the authorities that Node.js knows');
  file('--tls-ca <path>', 'speak TLS, by this authority (PEM)', 'HOLDFAST_TLS_CA');
  file('--tls-certificate <path>', 'show this certificate (PEM)', 'HOLDFAST_TLS_CERTIFICATE');
  file('--tls-key <path>', 'its key (PEM)', 'HOLDFAST_TLS_KEY');
  return command;
}

export interface TlsChannel {
  readonly credentials?: ChannelCredentials;
  readonly serverName?: string;
}

/** Empty: plain text. Throws an Error that says which flag is wrong. */
export function tlsChannel(flags: TlsFlags, address: string): TlsChannel {
  const { tls, tlsCa, tlsCertificate, tlsKey } = flags;
  if (!tls && [tlsCa, tlsCertificate, tlsKey].every((path) => path === undefined)) return {};
  if ((tlsCertificate === undefined) !== (tlsKey === undefined)) {
    throw new Error('--tls-certificate and --tls-key: expected both');
  }
  const files = {
    ...read('ca', '--tls-ca', tlsCa),
    ...read('cert', '--tls-certificate', tlsCertificate),
    ...read('key', '--tls-key', tlsKey),
  };
  try {
    const host = address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
    return {
      credentials: credentials.createFromSecureContext(createSecureContext(files), {
        checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
      }),
      // gRPC would say an IP address as the server's name, which TLS forbids and Node warns of.
      serverName: isIP(host) > 0 ? 'localhost' : host,
    };
  } catch (error) {
    const code = (error as { code?: string }).code ?? 'unknown';
    throw new Error(`--tls-…: the files are not what TLS takes (${code})`, { cause: error });
  }
}

function read(key: string, flag: string, path: string | undefined) {
  if (path === undefined) return {};
  try {
    return { [key]: readFileSync(path) };
  } catch (error) {
    throw new Error(`${flag}: ${(error as Error).message}`, { cause: error });
  }
}
