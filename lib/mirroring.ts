/**
 * Mirrors, from both ends. A device that offers itself waits at a topic of its own for those who have its address, and
 * joins, as a mirror, the spaces that it is asked to keep; a member asks by handing it an invite. In Yjs's notation:
 *
 *     channel  := protomux 'skein/mirror/1', id = keyed hash of the handshake under the mirror's secret
 *     0 ask    := the invite's text
 *     1 answer := '' when it will join, or the code of an error
 */
import { toHex } from './bytes.ts'
import type { Connections } from './connections.ts'
import { SkeinError, type ErrorCode } from './errors.ts'
import { Channel } from './sync/channel.ts'
import type { PeerConnection } from './sync/connection.ts'
import type { Topics } from './topics.ts'
import { parseInvite } from './trust/invite.ts'
import { topicOf } from './trust/keys.ts'
import type { DeviceId } from './trust/members.ts'
import { mirrorChannelId, type MirrorAddress } from './trust/mirror-address.ts'

const protocol = 'skein/mirror/1'
const maxMessageBytes = 4_096
/** Asked for more at a time, it says that it is busy. */
const maxJoining = 8

export interface MirroringOptions {
  readonly connections: Connections
  readonly topics: Topics
  readonly join: (invite: string) => Promise<unknown>
  readonly onError: (device: DeviceId, error: SkeinError) => void
}

export class Mirroring {
  readonly #options: MirroringOptions
  readonly #looking = new Set<(connection: PeerConnection) => void>()
  /** Secrets of mirrors that are looked for, and this device's own once it offers itself. */
  readonly #secrets: Uint8Array[] = []
  #isOffered = false
  #joining = 0

  constructor(options: MirroringOptions) {
    this.#options = options
  }

  get topics(): Uint8Array[] {
    return this.#secrets.map(topicOf)
  }

  /** What this device greets others with on that account. */
  get keys(): readonly Uint8Array[] {
    return this.#secrets
  }

  connected(connection: PeerConnection): void {
    for (const look of this.#looking) look(connection)
  }

  /** From here on those who know the secret may ask this device to keep a space. */
  async offer(secret: Uint8Array): Promise<void> {
    if (this.#isOffered) return
    this.#isOffered = true
    this.#secrets.push(secret)
    this.#look((connection) => this.#answerOn(connection, secret))
    await this.#options.topics.join(secret)
  }

  /** Hands an invite to a mirror, once it is met. Resolves when it will join; fails as it says, or as the signal does. */
  async ask({ device, secret }: MirrorAddress, invite: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#secrets.push(secret)
    void this.#options.topics.join(secret)
    const channels: Channel[] = []
    let stop = (): void => {}
    try {
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
        stop = this.#look((connection) => {
          if (connection.device !== toHex(device)) return
          const onAnswer = (code: string): void => {
            if (code === '') resolve()
            else reject(new SkeinError('INVITE_REFUSED', `The mirror answered: ${code}`))
          }
          channels.push(askOn(connection, secret, invite, onAnswer))
        })
        for (const { greeting } of this.#options.connections) greeting.greet()
      })
    } finally {
      stop()
      for (const channel of channels) channel.close()
      this.#secrets.splice(this.#secrets.indexOf(secret), 1)
      await this.#options.topics.leaveMaybe(topicOf(secret))
    }
  }

  /** Looks at every connection, those that come too, until what it returns is called. */
  #look(look: (connection: PeerConnection) => void): () => void {
    this.#looking.add(look)
    for (const connection of this.#options.connections) look(connection)
    return () => this.#looking.delete(look)
  }

  #answerOn(connection: PeerConnection, secret: Uint8Array): void {
    const channel: Channel = new Channel(connection, {
      protocol,
      id: mirrorChannelId(secret, connection.stream.handshakeHash),
      key: secret,
      maxMessageBytes,
      messages: [
        (bytes) => {
          const code = this.#asked(connection.device, new TextDecoder().decode(bytes))
          channel.send(1, new TextEncoder().encode(code))
        },
        () => {}
      ],
      onOpen: () => {},
      onClose: () => {}
    })
  }

  /** Joins by an invite to a mirror; '' or the code of an error. */
  #asked(device: DeviceId, text: string): ErrorCode | '' {
    try {
      const { role } = parseInvite(text)
      if (role !== 'mirror') throw new SkeinError('NOT_ALLOWED', `A mirror was invited as ${role}`)
      if (this.#joining >= maxJoining) throw new SkeinError('TIMEOUT', 'Too many spaces at a time')
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      this.#options.onError(device, error)
      return error.code
    }
    this.#joining++
    this.#options
      .join(text)
      .catch((error: SkeinError) => this.#options.onError(device, error))
      .finally(() => this.#joining--)
    return ''
  }
}

function askOn(
  connection: PeerConnection,
  secret: Uint8Array,
  invite: string,
  onAnswer: (code: string) => void
): Channel {
  const channel: Channel = new Channel(connection, {
    protocol,
    id: mirrorChannelId(secret, connection.stream.handshakeHash),
    key: secret,
    maxMessageBytes,
    messages: [() => {}, (bytes) => onAnswer(new TextDecoder().decode(bytes))],
    onOpen: () => channel.send(0, new TextEncoder().encode(invite)),
    onClose: () => {}
  })
  return channel
}
