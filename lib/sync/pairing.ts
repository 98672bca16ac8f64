/**
 * The pairing channel: one request, one answer, on a connection to a device that is not a member yet. Its id is a keyed
 * hash of the handshake under the invite's public key, so only holders of the invite and members can find it; and who
 * comes by the invite has to greet with that key first.
 */
import { pairingChannelId } from '../trust/invite.ts'
import { Channel } from './channel.ts'
import type { PeerConnection } from './connection.ts'

const protocol = 'skein/pair/1'
const maxMessageBytes = 64 * 1024

/** Answers requests that come by an invite. `answer` must not throw; null means: do not answer. */
export function offerPairing(
  connection: PeerConnection,
  invitePublicKey: Uint8Array,
  answer: (request: Uint8Array) => Promise<Uint8Array | null>
): Channel {
  let isAnswering = false
  const channel = new Channel(connection, {
    protocol,
    id: pairingChannelId(invitePublicKey, connection.stream.handshakeHash),
    key: invitePublicKey,
    maxMessageBytes,
    messages: [
      (request) => {
        if (isAnswering) return
        isAnswering = true
        void answer(request).then((bytes) => {
          isAnswering = false
          if (bytes !== null) channel.send(1, bytes)
        })
      },
      () => {}
    ],
    onOpen: () => {},
    onClose: () => {}
  })
  return channel
}

/** Asks by an invite, each time a member's side of the channel opens. It has yet to be greeted. */
export function askPairing(
  connection: PeerConnection,
  invitePublicKey: Uint8Array,
  request: Uint8Array,
  onAnswer: (answer: Uint8Array) => void
): Channel {
  const channel = new Channel(connection, {
    protocol,
    id: pairingChannelId(invitePublicKey, connection.stream.handshakeHash),
    key: invitePublicKey,
    maxMessageBytes,
    messages: [() => {}, onAnswer],
    onOpen: () => channel.send(0, request),
    onClose: () => {}
  })
  return channel
}
