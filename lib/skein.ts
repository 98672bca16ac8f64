/**
 * This device: its keys, its store, its transports and its spaces. One connection to another device serves all the
 * spaces that both are in.
 */
import { platform as defaultPlatform } from '#platform'
import { equalBytes, toHex } from './bytes.ts'
import { BundleReader } from './bundle/envelope.ts'
import type { Imported, ImportOptions } from './bundle/import.ts'
import { boxKeysFrom, signKeysFrom, type BoxKeys } from './crypto.ts'
import { SkeinError, throwIfAborted, type ErrorCode } from './errors.ts'
import { Emitter } from './events.ts'
import { identify } from './identity.ts'
import type { VerifyOptions } from './inspect/problem.ts'
import { verifyImage, type Verification } from './inspect/verify.ts'
import { Lifecycle } from './lifecycle.ts'
import { LogStore } from './log/store.ts'
import type { Platform, Storage } from './platform.ts'
import { encodeSecrets, type Secrets, type SpaceSecrets } from './secrets.ts'
import { SecretsFile } from './secrets-file.ts'
import { Space, type SpaceContext } from './space.ts'
import { PeerConnection, preferred } from './sync/connection.ts'
import { introducible } from './sync/introducer.ts'
import { askPairing } from './sync/pairing.ts'
import type { DeviceKeys, Transport } from './transport.ts'
import { encodeGenesis, spaceIdOf, type DeviceRecord } from './trust/control.ts'
import {
  decodePairingAnswer,
  encodePairingRequest,
  formatRecoveryKey,
  inviteKeysOf,
  parseInvite,
  parseRecoveryKey,
  type Invite
} from './trust/invite.ts'
import { formatIntroduction } from './trust/introduction.ts'
import { rendezvousOf, topicOf, topicSecretOf } from './trust/keys.ts'
import { wouldRaise, type DeviceId } from './trust/members.ts'

/** What keeps one space from opening, and not the device. */
const damaged: readonly ErrorCode[] = ['STORAGE_DAMAGED', 'LOG_FORKED', 'BAD_ENCODING']
/** A connection on which nothing was found in common by then is let go of. */
const idleConnectionMs = 15_000
const joinTimeoutMs = 60_000
const maxNameChars = 200

export interface SkeinOptions {
  /** A folder; in a page, the name of a database. Made if it is not there. */
  readonly storage: string
  /** What finds other devices. Default: none, and everything stays on this device. */
  readonly transports?: readonly Transport[]
  /** What other members see this device called. Kept from its first use. Default: 'device'. */
  readonly name?: string
  /** Whose it is: devices of one person carry the same. Default: the name. */
  readonly person?: string
  /**
   * Seals this device's keys on disk (Argon2id), from its first use or from now on; needed each time it is opened again.
   * What is in the logs is sealed under keys that are in that file. Without one, file permissions alone protect it.
   */
  readonly passphrase?: string
  /** Clock, chance and storage; default: those of Node or the page. */
  readonly platform?: Platform
}

export interface CreateSpaceOptions {
  readonly name: string
  /** Makes a cold owner above this device. Default: false. */
  readonly recovery?: boolean
}

export interface SkeinEvents {
  /** A device was connected, whatever spaces it has in common with this one. */
  connection: { device: DeviceId; transport: string }
  disconnection: { device: DeviceId; transport: string }
  /** A space could not be opened (`STORAGE_DAMAGED`, `LOG_FORKED`, `BAD_ENCODING`); the others are open. Listen before `ready()`. */
  'space-failed': { space: string; error: SkeinError }
  /** A peer broke the protocol, or asked to be let in and could not be; its connection may have been ended. */
  'peer-error': { device: DeviceId; error: SkeinError }
}

export class Skein extends Emitter<SkeinEvents> {
  readonly #options: SkeinOptions
  readonly #platform: Platform
  readonly #lifecycle: Lifecycle
  readonly #spacesById = new Map<string, Space>()
  readonly #connections = new Map<DeviceId, PeerConnection>()
  /** Joins under way look at every connection that comes. */
  readonly #joining = new Set<(connection: PeerConnection) => void>()
  /** They hear of spaces that are taken up: another join may have been quicker. */
  readonly #hearing = new Set<(space: Space) => void>()
  /** Those joins themselves, by what ends them, with the topics they look in. */
  readonly #joins = new Map<AbortController, Uint8Array>()
  /** Spaces that are being taken up, by id. */
  readonly #adding = new Map<string, Promise<Space>>()
  #storage: Storage | null = null
  #isReady = false
  #store!: LogStore
  #secretsFile!: SecretsFile
  #secrets!: Secrets
  #device!: DeviceKeys
  #box!: BoxKeys
  #reopening: Promise<void> | null = null
  #writingSecrets: Promise<void> = Promise.resolve()

  constructor(options: SkeinOptions) {
    super()
    if (typeof options.storage !== 'string' || options.storage === '') {
      throw new TypeError('`storage` names a folder')
    }
    for (const name of [options.name, options.person]) {
      if (name !== undefined && (name === '' || name.length > maxNameChars)) {
        throw new TypeError(`A name has 1 to ${maxNameChars} characters`)
      }
    }
    if (options.passphrase === '') throw new TypeError('A passphrase is not empty')
    this.#options = options
    this.#platform = options.platform ?? defaultPlatform
    this.#lifecycle = new Lifecycle(
      () => this.#open(),
      () => this.#close()
    )
  }

  /**
   * Opens the store and every space in it, and looks for peers. Fails with `STORAGE_LOCKED` (naming the process that
   * uses the folder), `DISK_FULL`, `DISK_READ_ONLY`, `STORAGE_FAILED`, `STORAGE_DAMAGED`, `PASSPHRASE_WRONG`,
   * `TRANSPORT_FAILED`.
   */
  ready(): Promise<void> {
    return this.#lifecycle.ready()
  }

  /** Closes the spaces, writes what is left, and lets go of the folder. Idempotent. */
  close(): Promise<void> {
    return this.#lifecycle.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** This device's signing key in hex. Fails with `CLOSED` before it is ready. */
  get id(): DeviceId {
    this.#assertReady()
    return toHex(this.#device.publicKey)
  }

  get name(): string {
    this.#assertReady()
    return this.#secrets.name
  }

  /**
   * Verifies a device's storage that nobody has open: keys, outboxes, every record of every log, every entry, the views.
   * Yields what is wrong and where as it is found, and returns what was looked at; changes nothing, whatever it finds.
   * `space` picks one by its id. Of a device that is open, `Space.verify` does the same for a space. Fails with
   * `STORAGE_LOCKED`, with `STORAGE_FAILED` where there is no device, and as the signal says.
   */
  static async *verify({
    storage,
    platform = defaultPlatform,
    space,
    ...options
  }: VerifyOptions & {
    readonly storage: string
    readonly platform?: Platform
    readonly space?: string
  }): Verification {
    if (platform.openImage === undefined) {
      throw new SkeinError('STORAGE_FAILED', 'This platform can check only what is open')
    }
    const image = await platform.openImage(storage)
    try {
      return yield* verifyImage(image, { ...options, only: space })
    } finally {
      await image.close()
    }
  }

  /** Devices that are connected, whatever spaces they have in common with this one. */
  get peers(): DeviceId[] {
    return [...this.#connections.keys()]
  }

  spaces(): Space[] {
    return [...this.#spacesById.values()]
  }

  /** The space of that id. Fails with `SPACE_UNKNOWN`. */
  space(id: string): Space {
    const space = this.#spacesById.get(id)
    if (space === undefined) throw new SkeinError('SPACE_UNKNOWN', `No space ${id} on this device`)
    return space
  }

  /**
   * Makes a space that this device owns. With `recovery` there is an owner above it whose key is on no device:
   * `Space.recoveryKey`, to be printed; with it any device can take the space back (`recover`), and remove this one.
   */
  async createSpace({ name, recovery = false }: CreateSpaceOptions): Promise<Space> {
    if (typeof name !== 'string' || name === '' || name.length > maxNameChars) {
      throw new TypeError(`A space's name has 1 to ${maxNameChars} characters`)
    }
    await this.ready()
    const seed = recovery ? this.#platform.randomBytes(32) : null
    const genesis = encodeGenesis({
      salt: this.#platform.randomBytes(16),
      name,
      owners: seed === null ? [this.#record()] : [this.#coldRecord(seed), this.#record()]
    })
    const spaceKey = this.#platform.randomBytes(32)
    const topicSecret = topicSecretOf(spaceKey)
    const recoveryKey =
      seed === null ? null : formatRecoveryKey({ space: spaceIdOf(genesis), topicSecret, seed })
    return this.#add({ spaceKey, genesis }, recoveryKey)
  }

  /**
   * Takes a space back with its recovery key: this device becomes an admin of it, by a grant of owner 1, with all that
   * members can read. Some member must be met; it need not be one that may admit. Not on two devices at a time: both
   * would write owner 1's log. Fails with `INVITE_INVALID`, `INVITE_UNANSWERED`, `ABORTED`.
   */
  async recover(
    recoveryKey: string,
    options: { timeoutMs?: number; signal?: AbortSignal } = {}
  ): Promise<Space> {
    const key = parseRecoveryKey(recoveryKey)
    return this.#let(key, options, async (signal) => {
      const known = this.#spacesById.get(toHex(key.space))
      if (known !== undefined && !wouldRaise(known.role, 'admin')) return known
      const space = await this.#pair(key, known, signal)
      await space.recover(key.seed, this.#record(), signal)
      await space.whenMember('admin', signal)
      return space
    })
  }

  /**
   * Joins a space by an invite; resolves when a member has let this device in and what it needs to read is here. A member
   * gets a higher role by an invite to it; one to no higher role gives the space as it is.
   * Calling it again after a failure goes on where it was. Fails with `INVITE_INVALID`, `INVITE_EXPIRED`,
   * `INVITE_USED_UP`, `INVITE_REVOKED`, `INVITE_REFUSED`, `INVITE_UNANSWERED` (nobody who may admit was reached within
   * `timeoutMs`, default 60 s), `ABORTED`.
   */
  async join(
    text: string,
    options: { timeoutMs?: number; signal?: AbortSignal } = {}
  ): Promise<Space> {
    const invite = parseInvite(text)
    return this.#let(invite, options, async (signal) => {
      const known = this.#spacesById.get(toHex(invite.space))
      const space =
        known !== undefined && !wouldRaise(known.role, invite.role)
          ? known
          : await this.#pair(invite, known, signal)
      await space.whenMember(invite.role, signal)
      return space
    })
  }

  /** Runs what lets this device into a space, with its deadline, while the space's topic is looked at. */
  async #let(
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
    this.#joins.set(patience, topic)
    let cancel = (): void => {}
    try {
      await this.ready()
      cancel = this.#platform.clock.after(timeoutMs, () =>
        patience.abort(this.#unanswered(invite, timeoutMs))
      )
      return await run(patience.signal)
    } finally {
      cancel()
      signal?.removeEventListener('abort', abort)
      this.#joins.delete(patience)
      await this.#leaveTopicMaybe(topic)
    }
  }

  /**
   * This device as one line of text that holds no secret: who may let others in makes a bundle for it
   * (`Space.export({ for })`), or for a connection invites it.
   */
  get introduction(): string {
    this.#assertReady()
    return formatIntroduction(this.#record(), this.#device)
  }

  /**
   * Takes in a bundle of a space that this device is in, or of one that it lets this device into. Each block is verified
   * as a peer's is before it is kept; where the bundle does not hold, what came before that place stays, and importing
   * again goes on from there. Fails with `BUNDLE_INVALID` (naming the place), `BUNDLE_FOR_OTHERS`, `BUNDLE_GAP`,
   * `LOG_FORKED`, `ABORTED`.
   */
  async import(
    bundle: AsyncIterable<Uint8Array>,
    options: ImportOptions = {}
  ): Promise<Imported & { readonly space: Space; readonly isNew: boolean }> {
    throwIfAborted(options.signal)
    await this.ready()
    const reader = await BundleReader.open(bundle)
    for (const space of this.spaces()) {
      if (await space.opens(reader)) {
        return { ...(await space.takeIn(reader, options)), space, isNew: false }
      }
    }
    const keys = reader.keysFor(this.#device.publicKey, this.#box)
    if (keys === null) {
      const message =
        'This device is in no space that the bundle is of, and it is not made for this device'
      throw new SkeinError('BUNDLE_FOR_OTHERS', message)
    }
    const space = await this.#add(keys)
    try {
      const imported = await space.takeIn(reader, options)
      if (space.role === null) {
        throw new SkeinError('BUNDLE_INVALID', 'This bundle does not make this device a member')
      }
      return { ...imported, space, isNew: true }
    } catch (error) {
      // Not a member by what has come: then nothing of it is of use.
      if (space.role === null) await space.leave()
      throw error
    }
  }

  #unanswered({ expiresAtMs }: Invite, timeoutMs: number): SkeinError {
    if (expiresAtMs > 0 && this.#platform.clock.now() >= expiresAtMs) {
      const message = 'The invite has expired, and nobody who may say otherwise answered'
      return new SkeinError('INVITE_EXPIRED', message)
    }
    const message = `Nobody who may let this device in answered within ${timeoutMs} ms`
    return new SkeinError('INVITE_UNANSWERED', message)
  }

  #assertReady(): void {
    if (this.#isReady) return
    throw new SkeinError('CLOSED', 'The device is not open yet: await its ready() first')
  }

  async #open(): Promise<void> {
    const { transports = [] } = this.#options
    const { storage: location } = this.#options
    this.#storage = await this.#platform.openStorage(location)
    this.#store = new LogStore(this.#storage, this.#platform.clock)
    const create = (): Secrets => this.#newSecrets()
    const { passphrase } = this.#options
    const randomBytes = (length: number): Uint8Array => this.#platform.randomBytes(length)
    this.#secretsFile = new SecretsFile(this.#storage, passphrase, randomBytes)
    this.#secrets = await identify(location, this.#storage, this.#store, this.#secretsFile, create)
    this.#device = signKeysFrom(this.#secrets.signSeed)
    this.#box = boxKeysFrom(this.#secrets.boxSeed)
    this.#isReady = true
    for (const secrets of this.#secrets.spaces) {
      try {
        await this.#openSpace(secrets)
      } catch (error) {
        // One that is damaged must not keep the others shut.
        if (!(error instanceof SkeinError) || !damaged.includes(error.code)) throw error
        this.emit('space-failed', { space: toHex(spaceIdOf(secrets.genesis)), error })
      }
    }
    for (const transport of transports) {
      transport.on('connection', ({ stream }) => {
        const onError = (device: DeviceId, error: SkeinError): void =>
          this.emit('peer-error', { device, error })
        this.#connected(new PeerConnection(stream, transport.name, onError))
      })
      await transport.open(this.#device)
    }
    // Looking for peers goes on by itself: being ready does not wait for the network.
    for (const space of this.#spacesById.values()) void this.#joinTopic(space.topicSecret)
  }

  async #close(): Promise<void> {
    const failures: unknown[] = []
    const attempt = async (step: () => Promise<unknown> | undefined): Promise<void> => {
      try {
        await step()
      } catch (error) {
        failures.push(error)
      }
    }
    for (const patience of this.#joins.keys()) {
      patience.abort(new SkeinError('CLOSED', 'This was closed before a member had answered'))
    }
    for (const space of this.#spacesById.values()) await attempt(() => space.close())
    for (const connection of this.#connections.values()) connection.close()
    for (const transport of this.#options.transports ?? []) await attempt(() => transport.close())
    await attempt(() => this.#writingSecrets)
    // One under way would open what is closed here. Whoever asked for it is told of its failure.
    await this.#reopening?.catch(() => {})
    // Undefined where opening failed half-way.
    await attempt(() => (this.#store as LogStore | undefined)?.close())
    await attempt(() => this.#storage?.close())
    if (failures.length > 0) throw failures[0]
  }

  #newSecrets(): Secrets {
    const { name = 'device', person = name } = this.#options
    const signSeed = this.#platform.randomBytes(32)
    const boxSeed = this.#platform.randomBytes(32)
    return { signSeed, boxSeed, name, person, spaces: [] }
  }

  /** Changes the list of spaces on disk, one change at a time. */
  #changeSpaces(change: (spaces: readonly SpaceSecrets[]) => SpaceSecrets[]): Promise<void> {
    const written = this.#writingSecrets.then(async () => {
      const secrets = { ...this.#secrets, spaces: change(this.#secrets.spaces) }
      await this.#secretsFile.writeSecrets(encodeSecrets(secrets))
      this.#secrets = secrets
    })
    this.#writingSecrets = written.catch(() => {}) // Whoever asked for the change is told.
    return written
  }

  /** Takes a space up that was not here: its keys first, so that whatever happens next finds it again. */
  #add(secrets: SpaceSecrets, recoveryKey: string | null = null): Promise<Space> {
    const id = toHex(spaceIdOf(secrets.genesis))
    let adding = this.#adding.get(id)
    if (adding === undefined) {
      adding = this.#takeUp(secrets, recoveryKey).finally(() => this.#adding.delete(id))
      this.#adding.set(id, adding)
    }
    return adding
  }

  async #takeUp(secrets: SpaceSecrets, recoveryKey: string | null): Promise<Space> {
    const id = spaceIdOf(secrets.genesis)
    await this.#changeSpaces((spaces) => [
      ...spaces.filter(({ genesis }) => !equalBytes(spaceIdOf(genesis), id)),
      secrets
    ])
    const space = await this.#openSpace(secrets, recoveryKey)
    for (const connection of this.#connections.values()) space.connected(connection)
    void this.#joinTopic(space.topicSecret)
    for (const hear of [...this.#hearing]) hear(space)
    return space
  }

  async #openSpace(
    { spaceKey, genesis }: SpaceSecrets,
    recoveryKey: string | null = null
  ): Promise<Space> {
    const context: SpaceContext = {
      platform: this.#platform,
      storage: this.#storage!,
      store: this.#store,
      device: this.#device,
      box: this.#box,
      connections: () => this.#connections.values(),
      introducible: introducible(this.#options.transports ?? []),
      reopenStore: () => this.#reopenStore(),
      onLeft: (left) => this.#forget(left)
    }
    const space = new Space(spaceKey, genesis, spaceIdOf(genesis), context, recoveryKey)
    this.#spacesById.set(space.id, space)
    try {
      await space.ready()
    } catch (error) {
      this.#spacesById.delete(space.id)
      throw error
    }
    return space
  }

  async #forget(space: Space): Promise<void> {
    this.#spacesById.delete(space.id)
    await this.#changeSpaces((spaces) =>
      spaces.filter(({ genesis }) => toHex(spaceIdOf(genesis)) !== space.id)
    )
    for (const transport of this.#options.transports ?? []) await transport.leave(space.topic)
  }

  /** After a failed write; whoever asks meanwhile waits for the same attempt. */
  #reopenStore(): Promise<void> {
    // What replicates holds on to the store; transports dial again, and are refused until it is open.
    for (const connection of this.#connections.values()) connection.close()
    this.#reopening ??= this.#store.reopen().finally(() => {
      this.#reopening = null
    })
    return this.#reopening
  }

  /** Ends the search for a space that this device is not in, unless another join looks for it too. */
  async #leaveTopicMaybe(topic: Uint8Array): Promise<void> {
    const wanted = [...this.#joins.values(), ...this.spaces().map((space) => space.topic)]
    if (this.#lifecycle.isClosing || wanted.some((other) => equalBytes(other, topic))) return
    for (const transport of this.#options.transports ?? []) {
      await transport.leave(topic).catch(() => {}) // It finds what nobody asks for: no harm is done.
    }
  }

  async #joinTopic(topicSecret: Uint8Array): Promise<void> {
    const topic = topicOf(topicSecret)
    const rendezvous = rendezvousOf(topicSecret)
    for (const transport of this.#options.transports ?? []) {
      try {
        await transport.join(topic, rendezvous)
      } catch (cause) {
        if (this.#lifecycle.isClosing) return
        const message = `${transport.name} could not look for peers`
        const error = new SkeinError('TRANSPORT_FAILED', message, { cause })
        this.emit('peer-error', { device: this.id, error })
      }
    }
  }

  /** One connection a device: of two, both ends keep the same. */
  #connected(connection: PeerConnection): void {
    const { device, transport, stream } = connection
    const takesWrites = this.#store.takesWrites && this.#reopening === null
    if (device === this.id || this.#lifecycle.isClosing || !takesWrites) {
      connection.close()
      return
    }
    const before = this.#connections.get(device)
    if (before !== undefined && !before.isClosed) {
      if (preferred(before, connection) === before) {
        connection.close()
        return
      }
      before.close()
    }
    this.#connections.set(device, connection)
    stream.on('close', () => {
      if (this.#connections.get(device) === connection) this.#connections.delete(device)
      this.emit('disconnection', { device, transport })
    })
    this.emit('connection', { device, transport })
    for (const space of this.#spacesById.values()) space.connected(connection)
    for (const look of this.#joining) look(connection)
    const cancel = this.#platform.clock.after(idleConnectionMs, () => {
      if (connection.openChannels === 0) connection.close()
    })
    stream.on('close', cancel)
  }

  /** Asks every device that can be met whether it lets this one in, until one has. */
  async #pair(invite: Invite, known: Space | undefined, signal: AbortSignal): Promise<Space> {
    if (signal.aborted) throw signal.reason
    const invitePublicKey = inviteKeysOf(invite).publicKey
    void this.#joinTopic(invite.topicSecret)
    const paired = await new Promise<SpaceSecrets | Space>((resolve, reject) => {
      const channels: { close(): void }[] = []
      const done = (): void => {
        this.#joining.delete(look)
        this.#hearing.delete(hear)
        signal.removeEventListener('abort', abort)
        for (const channel of channels) channel.close()
      }
      const look = (connection: PeerConnection): void => {
        const { handshakeHash } = connection.stream
        const request = encodePairingRequest(invite, this.#record(), handshakeHash)
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
      this.#joining.add(look)
      this.#hearing.add(hear)
      for (const connection of this.#connections.values()) look(connection)
    })
    return paired instanceof Space ? paired : (known ?? this.#add(paired))
  }

  /** The owner whose keys are made of that seed, and on no device. */
  #coldRecord(seed: Uint8Array): DeviceRecord {
    return {
      signKey: signKeysFrom(seed).publicKey,
      boxKey: boxKeysFrom(seed).publicKey,
      salt: this.#platform.randomBytes(16),
      name: 'recovery key',
      person: this.#secrets.person
    }
  }

  /** How this device introduces itself to a space: with a salt of its own for each. */
  #record(): DeviceRecord {
    return {
      signKey: this.#device.publicKey,
      boxKey: this.#box.publicKey,
      salt: this.#platform.randomBytes(16),
      name: this.#secrets.name,
      person: this.#secrets.person
    }
  }
}
