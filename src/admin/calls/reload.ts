import { status } from '@grpc/grpc-js';
import type { Reloads } from '../../config/reload-port.ts';
import { AdminError } from '../errors.ts';
import type { ReloadReply } from '../reload-messages.ts';

/** What is wrong with a configuration is an answer and no error of the call. */
export function reloadCalls(reloads: Reloads | undefined, node: string) {
  return {
    async Reload(): Promise<ReloadReply> {
      if (!reloads) {
        const why = 'the configuration of this node cannot be read again';
        throw new AdminError(status.UNIMPLEMENTED, why);
      }
      return { node, ...(await reloads.reload('call')) };
    },
  };
}
