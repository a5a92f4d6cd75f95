import type { MemberId } from '../../src/core/ids.ts';
import type { Member } from '../../src/core/member.ts';

/** A member with addresses made of its slot; nothing listens there unless a test says so. */
export function member(id: string, slot: number, peerAddress = `127.0.0.1:${7100 + slot}`): Member {
  return {
    id: id as MemberId,
    slot,
    peerAddress,
    clientAddress: `ws://127.0.0.1:${5200 + slot}`,
    httpAddress: `http://127.0.0.1:${5001 + slot}`,
    adminAddress: `127.0.0.1:${5300 + slot}`,
  };
}
