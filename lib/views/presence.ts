/** Awareness updates as they come from a peer: exactly one state, of one client id. */
import * as decoding from 'lib0/decoding'
import { decodeAll } from '../bytes.ts'

/** The client id that an awareness update (https://github.com/yjs/y-protocols) is about. Fails with `BAD_ENCODING`. */
export function presenceClientOf(update: Uint8Array): number {
  return decodeAll(update, 'presence', (decoder) => {
    const count = decoding.readVarUint(decoder)
    if (count !== 1) throw new RangeError(`${count} states in one message`)
    const clientId = decoding.readVarUint(decoder)
    decoding.readVarUint(decoder) // The state's clock.
    JSON.parse(decoding.readVarString(decoder))
    return clientId
  })
}
