import { decodePeerMessage, encodePeerMessage } from '../../../src/cluster/link/codec.ts';
import type { PeerCodec } from './connection.ts';

/** The real codec, with the kind as a first byte where the wire has an envelope. */
export const wireCodec: PeerCodec = {
  encode(message) {
    const { kind, payload } = encodePeerMessage(message);
    const bytes = new Uint8Array(payload.length + 1);
    bytes[0] = kind;
    bytes.set(payload, 1);
    return bytes;
  },
  decode(bytes) {
    const decoded = decodePeerMessage(bytes[0]!, bytes.subarray(1));
    if (!decoded.ok) throw new Error(`a peer's message does not decode: ${decoded.error}`);
    return decoded.value;
  },
};
