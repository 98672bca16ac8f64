/** How this device gets into spaces: by asking whoever can be met, until a member lets it in. */
import { equalBytes, toHex } from './bytes.ts'
import type { Connections } from './connections.ts'
import { SkeinError, throwIfAborted } from './errors.ts'
import type { Clock } from './platform.ts'
import type { SpaceSecrets } from './secrets.ts'
import { Space } from './space.ts'
import type { PeerConnection } from './sync/connection.ts'
import { askPairing } from './sync/pairing.ts'
import type { Topics } from './topics.ts'
import { spaceIdOf, type DeviceRecord } from './trust/control.ts'
import {
  decodePairingAnswer,
  encodePairingRequest,
  inviteKeysOf,
  type Invite
} from './trust/invite.ts'
import { topicOf, topicSecretOf } from './trust/keys.ts'

const joinTimeoutMs = 60_000

export interface JoiningOptions {
  readonly clock: Clock
  readonly connections: Connections
  readonly topics: Topics
  /** Resolves when the device is open. */
  readonly ready: () => Promise<void>
  /** How this device introduces itself. */
  readonly record: () => DeviceRecord
  /** Takes a space up that was not here. */
  readonly add: (secrets: SpaceSecrets) => Promise<Space>
}

export class Joining {
  readonly #options: JoiningOptions
  /** Joins under way look at every connection that comes. */
  readonly #looking = new Set<(connection: PeerConnection) => void>()
  /** They hear of spaces that are taken up: another join may have been quicker. */
  readonly #hearing = new Set<(space: Space) => void>()
  /** The public keys of the invites that are asked by. */
  readonly #keys = new Set<Uint8Array>()
  /** Those joins themselves, by what ends them, with the topics they look in. */
  readonly #topicsByJoin = new Map<AbortController, Uint8Array>()

  constructor(options: JoiningOptions) {
    this.#options = options
  }

  /** The topics that joins under way look in. */
  get topics(): Uint8Array[] {
    return [...this.#topicsByJoin.values()]
  }

  /** What this device greets others with on that account. */
  get keys(): readonly Uint8Array[] {
    return [...this.#keys]
  }

  connected(connection: PeerConnection): void {
    for (const look of this.#looking) look(connection)
  }

  takenUp(space: Space): void {
    for (const hear of [...this.#hearing]) hear(space)
  }

  /** Ends all joins. */
  abort(reason: SkeinError): void {
    for (const join of this.#topicsByJoin.keys()) join.abort(reason)
  }

  /** Runs what lets this device into a space, with its deadline, while the space's topic is looked at. */
  async let(
    invite: Invite,
    { timeoutMs = joinTimeoutMs, signal }: { timeoutMs?: number; signal?: AbortSignal },
    run: (signal: AbortSignal) => Promise<Space>
  ): Promise<Space> {
    throwIfAborted(signal)
    const patience = new AbortController()
    const abort = (): void =>
      patience.abort(new SkeinError('ABORTED', 'The call was aborted', { cause: signal?.reason }))
    signal?.addEventListener('abort', abort, { once: true })
    const topic = topicOf(invite.topicSecret)
    this.#topicsByJoin.set(patience, topic)
    let cancel = (): void => {}
    try {
      await this.#options.ready()
      cancel = this.#options.clock.after(timeoutMs, () =>
        patience.abort(this.#unanswered(invite, timeoutMs))
      )
      return await run(patience.signal)
    } finally {
      cancel()
      signal?.removeEventListener('abort', abort)
      this.#topicsByJoin.delete(patience)
      await this.#options.topics.leaveMaybe(topic)
    }
  }

  /** Asks every device that can be met whether it lets this one in, until one has. */
  async pair(invite: Invite, known: Space | undefined, signal: AbortSignal): Promise<Space> {
    if (signal.aborted) throw signal.reason
    const invitePublicKey = inviteKeysOf(invite).publicKey
    void this.#options.topics.join(invite.topicSecret)
    const paired = await new Promise<SpaceSecrets | Space>((resolve, reject) => {
      const channels: { close(): void }[] = []
      const done = (): void => {
        this.#looking.delete(look)
        this.#keys.delete(invitePublicKey)
        this.#hearing.delete(hear)
        signal.removeEventListener('abort', abort)
        for (const channel of channels) channel.close()
      }
      const look = (connection: PeerConnection): void => {
        const { handshakeHash } = connection.stream
        const request = encodePairingRequest(invite, this.#options.record(), handshakeHash)
        const onAnswer = (bytes: Uint8Array): void => {
          const answer = decodePairingAnswer(bytes)
          done()
          if ('refused' in answer) {
            reject(
              new SkeinError(answer.refused, 'A member answered that this invite lets nobody in')
            )
            return
          }
          const isRight =
            equalBytes(spaceIdOf(answer.genesis), invite.space) &&
            equalBytes(topicSecretOf(answer.spaceKey), invite.topicSecret)
          if (isRight) resolve(answer)
          else reject(new SkeinError('INVITE_REFUSED', 'A member answered with another space'))
        }
        channels.push(askPairing(connection, invitePublicKey, request, onAnswer))
      }
      const hear = (space: Space): void => {
        if (space.id !== toHex(invite.space)) return
        done()
        resolve(space)
      }
      const abort = (): void => {
        done()
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', abort, { once: true })
      this.#looking.add(look)
      this.#hearing.add(hear)
      this.#keys.add(invitePublicKey)
      for (const connection of this.#options.connections) look(connection)
      for (const { greeting } of this.#options.connections) greeting.greet()
    })
    return paired instanceof Space ? paired : (known ?? this.#options.add(paired))
  }

  #unanswered({ expiresAtMs }: Invite, timeoutMs: number): SkeinError {
    if (expiresAtMs > 0 && this.#options.clock.now() >= expiresAtMs) {
      const message = 'The invite has expired, and nobody who may say otherwise answered'
      return new SkeinError('INVITE_EXPIRED', message)
    }
    const message = `Nobody who may let this device in answered within ${timeoutMs} ms`
    return new SkeinError('INVITE_UNANSWERED', message)
  }
}
