import type { ExecutionContext } from 'ava';
import { GrpcPeerTransport } from '../../src/cluster/link/grpc-transport.ts';
import type { GrpcPeerTransportOptions } from '../../src/cluster/link/grpc-options.ts';
import type { PeerMessage } from '../../src/cluster/link/message.ts';
import type { Link, LinkHandler } from '../../src/cluster/link/port.ts';
import type { MemberId } from '../../src/core/ids.ts';
import type { Member } from '../../src/core/member.ts';
import { silentLog } from '../../src/observability/log.ts';
import { systemRuntime } from '../../src/runtime/system.ts';
import { member } from './members.ts';

/** A handler that keeps what it hears. */
export interface Heard extends LinkHandler {
  readonly messages: PeerMessage[];
  readonly closed: string[];
  drains: number;
}

export function hear(): Heard {
  const heard: Heard = {
    messages: [],
    closed: [],
    drains: 0,
    onMessage: (message) => void heard.messages.push(message),
    onDrain: () => void heard.drains++,
    onClose: (reason) => void heard.closed.push(reason),
  };
  return heard;
}

/** A member with a listener of its own on loopback, ended with the test. */
export interface TestPeer {
  readonly member: Member;
  readonly transport: GrpcPeerTransport;
  /** Links that it accepted, and what it heard on each. */
  readonly accepted: { readonly link: Link; readonly heard: Heard }[];
  /** Lines of its log, of level warn and above. */
  readonly log: string[];
  dial(peer: Pick<TestPeer, 'member'>): Promise<{ readonly link: Link; readonly heard: Heard }>;
}

export async function listen(
  t: ExecutionContext,
  id: string,
  given: Partial<GrpcPeerTransportOptions> = {},
): Promise<TestPeer> {
  const log: string[] = [];
  const note = (message: string, fields?: unknown): void =>
    void log.push(`${message} ${JSON.stringify(fields)}`);
  const transport = new GrpcPeerTransport({
    self: id as MemberId,
    cluster: 'test',
    host: '127.0.0.1',
    port: 0,
    secrets: ['the secret of the tests'],
    log: { ...silentLog, warn: note, error: note },
    runtime: systemRuntime,
    ...given,
  });
  const accepted: TestPeer['accepted'] = [];
  await transport.listen((link) => {
    const heard = hear();
    accepted.push({ link, heard });
    return heard;
  });
  t.teardown(() => transport.close());
  const self = member(id, 0, `127.0.0.1:${transport.address()!.port}`);
  return {
    member: self,
    transport,
    accepted,
    log,
    async dial(peer) {
      const heard = hear();
      const link = await transport.connect(peer.member, heard, new AbortController().signal);
      return { link, heard };
    },
  };
}
