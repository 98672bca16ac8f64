/**
 * This device: its keys, its store, its transports and its spaces. One connection to another device serves all the
 * spaces that both are in.
 */
import { platform as defaultPlatform } from '#platform'
import { equalBytes, toHex } from './bytes.ts'
import { BundleReader } from './bundle/envelope.ts'
import type { Imported, ImportOptions } from './bundle/import.ts'
import { Connections } from './connections.ts'
import { SkeinError, throwIfAborted, type ErrorCode } from './errors.ts'
import { Emitter } from './events.ts'
import { finishRenewal, identify } from './identity.ts'
import type { VerifyOptions } from './inspect/problem.ts'
import { verifyImage, type Verification } from './inspect/verify.ts'
import { Joining } from './joining.ts'
import { Lifecycle } from './lifecycle.ts'
import { copiedError } from './log/lost-tail.ts'
import { LogStore } from './log/store.ts'
import { Mirroring } from './mirroring.ts'
import { OwnDevice } from './own-device.ts'
import type { Platform, Storage } from './platform.ts'
import type { Secrets, SpaceSecrets } from './secrets.ts'
import { SecretsFile } from './secrets-file.ts'
import type { CreateSpaceOptions, SkeinEvents, SkeinOptions } from './skein-options.ts'
import { Space, type SpaceContext } from './space.ts'
import { PeerConnection } from './sync/connection.ts'
import { introducible } from './sync/introducer.ts'
import { Copies } from './sync/copies.ts'
import { Standing } from './sync/standing.ts'
import { Topics } from './topics.ts'
import { encodeGenesis, spaceIdOf } from './trust/control.ts'
import { formatRecoveryKey, parseInvite, parseRecoveryKey } from './trust/invite.ts'
import { formatIntroduction } from './trust/introduction.ts'
import { runBytes } from './trust/copy.ts'
import { topicSecretOf } from './trust/keys.ts'
import { wouldRaise, type DeviceId } from './trust/members.ts'
import { formatMirrorAddress } from './trust/mirror-address.ts'

/** What keeps one space from opening, and not the device. */
const damaged: readonly ErrorCode[] = ['STORAGE_DAMAGED', 'LOG_FORKED', 'BAD_ENCODING']
const maxNameChars = 200
/** A copy that steps aside tells the other one before it ends its connections. */
const lingerMs = 1_000

interface AddOptions {
  readonly recoveryKey?: string | null
  /** It was made here just now. */
  readonly isFounded?: boolean
}

interface Renewal {
  readonly copy: Uint8Array
  readonly name: string | undefined
}

export class Skein extends Emitter<SkeinEvents> {
  readonly #options: SkeinOptions
  readonly #platform: Platform
  readonly #lifecycle: Lifecycle
  readonly #spacesById = new Map<string, Space>()
  readonly #connections: Connections
  readonly #standing: Standing
  readonly #topics: Topics
  readonly #joining: Joining
  readonly #mirroring: Mirroring
  /** Spaces that are being taken up, by id. */
  readonly #adding = new Map<string, Promise<Space>>()
  #storage: Storage | null = null
  #isReady = false
  #store!: LogStore
  #device!: OwnDevice
  #copies!: Copies
  #copied: Skein['copied'] = null
  /** This storage is the copy, and its device goes on elsewhere: nobody is connected any more. */
  #isOffline = false
  #cancelLinger: (() => void) | null = null
  /** It is closed to be another device. */
  #renewal: Renewal | null = null
  #reopening: Promise<void> | null = null

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
    const { clock } = this.#platform
    this.#standing = new Standing(clock)
    this.#connections = new Connections({
      clock,
      isWelcome: (device) => this.#isWelcome(device),
      onConnected: (connection) => this.#connected(connection),
      onDisconnected: ({ device, transport }) => this.emit('disconnection', { device, transport })
    })
    this.#topics = new Topics({
      transports: options.transports ?? [],
      isClosing: () => this.#lifecycle.isClosing,
      wanted: () => [
        ...this.#joining.topics,
        ...this.#mirroring.topics,
        ...this.spaces().map((space) => space.topic)
      ],
      onFailed: (error) => this.emit('peer-error', { device: this.id, error })
    })
    this.#joining = new Joining({
      clock,
      connections: this.#connections,
      topics: this.#topics,
      ready: () => this.ready(),
      record: () => this.#device.record(),
      add: (secrets) => this.#add(secrets)
    })
    this.#mirroring = new Mirroring({
      connections: this.#connections,
      topics: this.#topics,
      join: (invite) => this.join(invite),
      onError: (device, error) => this.emit('peer-error', { device, error })
    })
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
    return toHex(this.#device.keys.publicKey)
  }

  get name(): string {
    this.#assertReady()
    return this.#device.name
  }

  /**
   * `'elsewhere'`: a copy of this device's storage was met that was in use at the same time, and stepped aside. `'here'`:
   * this storage is that copy; everything is read-only (`COPIED`), what is typed is kept, and nobody is connected. Null:
   * neither is known. The event `copied` tells of it.
   */
  get copied(): 'here' | 'elsewhere' | null {
    return this.#copied
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
    return this.#connections.devices
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
   * Makes a space that this device owns, and `owners` below it: the higher may remove the lower, and nobody else an owner;
   * who they are is fixed from then on. With `recovery` there is an owner above it whose key is on no device:
   * `Space.recoveryKey`, to be printed; with it any device can take the space back (`recover`), and remove this one.
   */
  async createSpace({ name, owners = [], recovery = false }: CreateSpaceOptions): Promise<Space> {
    if (typeof name !== 'string' || name === '' || name.length > maxNameChars) {
      throw new TypeError(`A space's name has 1 to ${maxNameChars} characters`)
    }
    await this.ready()
    this.#assertNotCopied()
    const seed = recovery ? this.#platform.randomBytes(32) : null
    const genesis = encodeGenesis({
      salt: this.#platform.randomBytes(16),
      name,
      owners: this.#device.ownersOf(owners, seed)
    })
    const spaceKey = this.#platform.randomBytes(32)
    const topicSecret = topicSecretOf(spaceKey)
    const recoveryKey =
      seed === null ? null : formatRecoveryKey({ space: spaceIdOf(genesis), topicSecret, seed })
    return this.#add({ spaceKey, genesis }, { recoveryKey, isFounded: true })
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
    return this.#joining.let(key, options, async (signal) => {
      this.#assertNotCopied()
      const known = this.#spacesById.get(toHex(key.space))
      if (known !== undefined && !wouldRaise(known.role, 'admin')) return known
      const space = await this.#joining.pair(key, known, signal)
      await space.recover(key.seed, this.#device.record(), signal)
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
    return this.#joining.let(invite, options, async (signal) => {
      this.#assertNotCopied()
      const known = this.#spacesById.get(toHex(invite.space))
      const space =
        known !== undefined && !wouldRaise(known.role, invite.role)
          ? known
          : await this.#joining.pair(invite, known, signal)
      await space.whenMember(invite.role, signal)
      return space
    })
  }

  /**
   * This device as one line of text that holds no secret: who may let others in makes a bundle for it
   * (`Space.export({ for })`), or for a connection invites it.
   */
  get introduction(): string {
    this.#assertReady()
    return formatIntroduction(this.#device.record(), this.#device.keys)
  }

  /**
   * Offers this device as a mirror, until it is closed: whoever has the address that this resolves with can have it keep a
   * space available (`Space.addMirror`), of which it holds everything and can read nothing. The address stays the same; it
   * is a secret, as it lets others fill this disk. `hints`: where this device may be met, for transports that need to know.
   */
  async mirror({ hints = [] }: { hints?: readonly string[] } = {}): Promise<string> {
    await this.ready()
    this.#assertNotCopied()
    const { keys, mirrorSecret: secret } = this.#device
    const address = formatMirrorAddress({ device: keys.publicKey, secret, hints })
    await this.#mirroring.offer(secret)
    return address
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
    const keys = reader.keysFor(this.#device.keys.publicKey, this.#device.box)
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

  /**
   * Makes a device of its own of one whose storage is a copy of another's (`copied` is `'here'`, or no member has answered
   * yet): new keys, durably, under which nobody knows it. Then it is closed. Opened again it shows what it showed, read-only,
   * keeps what is typed, and asks the members that it meets to be let in (`Space.letIn`); an invite does as well. Then it
   * writes under its own name what was typed and could not be written. `name`: what others are to see it called; default: as before. Fails with `NOT_ALLOWED` where
   * the storage is no such copy, with `STORAGE_DAMAGED` where a space could not be opened, and with the storage's errors:
   * opened again it is then the one device or the other, and has lost nothing.
   */
  async becomeOwnDevice({ name }: { name?: string } = {}): Promise<void> {
    if (name !== undefined && (name === '' || name.length > maxNameChars))
      throw new TypeError(`A name has 1 to ${maxNameChars} characters`)
    await this.ready()
    const copy = this.#copyIds.at(-1)
    const isCopy = this.#copied === 'here' || this.spaces().some((space) => space.asks)
    if (!isCopy || copy === undefined) {
      const message =
        'This device’s storage is no copy that waits for an answer or has stepped aside'
      throw new SkeinError('NOT_ALLOWED', message)
    }
    if (this.spaces().length < this.#device.spaces.length) {
      const message = 'A space of this storage could not be opened: what is in it would be lost'
      throw new SkeinError('STORAGE_DAMAGED', message)
    }
    // From here on it may be answered no more.
    this.#stepAside()
    for (const space of this.spaces()) await space.noteFormer()
    this.#renewal = { copy, name }
    await this.close()
  }

  /** All spaces are closed, and what they had is in the store. */
  async #renew({ copy, name }: Renewal, keysBySpace: Map<string, Uint8Array[]>): Promise<void> {
    await this.#store.sync()
    const keysOf = ({ genesis }: SpaceSecrets): readonly Uint8Array[] =>
      keysBySpace.get(toHex(spaceIdOf(genesis))) ?? []
    const secrets = await this.#device.renew(name, copy, keysOf)
    await finishRenewal(this.#storage!, this.#store, secrets, this.#device.keys.publicKey)
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
    const file = new SecretsFile(this.#storage, passphrase, randomBytes)
    const secrets = await identify(location, this.#storage, this.#store, file, create)
    this.#device = new OwnDevice(secrets, file, randomBytes)
    this.#copies = new Copies({
      clock: this.#platform.clock,
      keys: this.#device.keys,
      run: randomBytes(runBytes),
      copyIds: this.#copyIds,
      asks: () => this.spaces().some((space) => space.asks),
      onAside: () => this.#stepAside(),
      onMet: () => this.#metCopy(),
      onChange: () => {
        for (const space of this.spaces()) space.copiesChanged()
      }
    })
    this.#isReady = true
    for (const secrets of this.#device.spaces) {
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
        const { clock } = this.#platform
        const options = {
          clock,
          standing: this.#standing,
          onError,
          randomBytes: (length: number) => this.#platform.randomBytes(length),
          keys: () => this.#greetingKeys()
        }
        this.#connections.add(new PeerConnection(stream, transport.name, options))
      })
      await transport.open(this.#device.keys)
    }
    // Looking for peers goes on by itself: being ready does not wait for the network.
    for (const space of this.#spacesById.values()) void this.#topics.join(space.topicSecret)
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
    this.#joining.abort(new SkeinError('CLOSED', 'This was closed before a member had answered'))
    const keysBySpace = new Map(this.spaces().map((space) => [space.id, space.epochKeys]))
    for (const space of this.#spacesById.values()) await attempt(() => space.close())
    // Undefined where opening failed half-way.
    ;(this.#copies as Copies | undefined)?.stop()
    this.#cancelLinger?.()
    this.#connections.closeAll()
    for (const transport of this.#options.transports ?? []) await attempt(() => transport.close())
    await attempt(() => (this.#device as OwnDevice | undefined)?.written())
    // One under way would open what is closed here. Whoever asked for it is told of its failure.
    await this.#reopening?.catch(() => {})
    const renewal = this.#renewal
    // Where something could not be kept, it stays the device that it was.
    if (renewal !== null && failures.length === 0)
      await attempt(() => this.#renew(renewal, keysBySpace))
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

  /** Takes a space up that was not here: its keys first, so that whatever happens next finds it again. */
  #add(secrets: SpaceSecrets, options: AddOptions = {}): Promise<Space> {
    const id = toHex(spaceIdOf(secrets.genesis))
    let adding = this.#adding.get(id)
    if (adding === undefined) {
      adding = this.#takeUp(secrets, options).finally(() => this.#adding.delete(id))
      this.#adding.set(id, adding)
    }
    return adding
  }

  async #takeUp(
    secrets: SpaceSecrets,
    { recoveryKey = null, isFounded = false }: AddOptions
  ): Promise<Space> {
    const id = spaceIdOf(secrets.genesis)
    await this.#device.changeSpaces((spaces) => [
      ...spaces.filter(({ genesis }) => !equalBytes(spaceIdOf(genesis), id)),
      secrets
    ])
    const space = await this.#openSpace(secrets, recoveryKey)
    for (const connection of this.#connections) {
      space.connected(connection)
      // Nobody else can have one that was made here: then a stranger who is connected is not told that it was.
      if (!isFounded) connection.greeting.greet()
    }
    void this.#topics.join(space.topicSecret)
    this.#joining.takenUp(space)
    return space
  }

  /** Of the storage, since this is its device. */
  get #copyIds(): readonly Uint8Array[] {
    const all = this.#storage?.copyIds ?? []
    const { formerly } = this.#device
    const since = formerly === null ? -1 : all.findIndex((id) => equalBytes(id, formerly.copy))
    return all.slice(since + 1)
  }

  async #openSpace(
    { spaceKey, genesis, epochKeys = [] }: SpaceSecrets,
    recoveryKey: string | null = null
  ): Promise<Space> {
    const context: SpaceContext = {
      platform: this.#platform,
      storage: this.#storage!,
      store: this.#store,
      device: this.#device.keys,
      box: this.#device.box,
      copyIds: this.#copyIds,
      copies: this.#copies,
      formerly: this.#device.formerly,
      request: () => this.#device.request(),
      epochKeys,
      connections: () => this.#connections,
      introducible: introducible(this.#options.transports ?? []),
      reopenStore: () => this.#reopenStore(),
      onLeft: (left) => this.#forget(left),
      askMirror: (address, invite, signal) => this.#mirroring.ask(address, invite, signal)
    }
    const space = new Space(spaceKey, genesis, spaceIdOf(genesis), context, recoveryKey)
    this.#spacesById.set(space.id, space)
    try {
      await space.ready()
    } catch (error) {
      this.#spacesById.delete(space.id)
      throw error
    }
    if (this.#copied === 'here') space.stepAside()
    return space
  }

  async #forget(space: Space): Promise<void> {
    this.#spacesById.delete(space.id)
    await this.#device.changeSpaces((spaces) =>
      spaces.filter(({ genesis }) => toHex(spaceIdOf(genesis)) !== space.id)
    )
    await this.#topics.leave(space.topic)
  }

  /** After a failed write; whoever asks meanwhile waits for the same attempt. */
  #reopenStore(): Promise<void> {
    // What replicates holds on to the store; transports dial again, and are refused until it is open.
    this.#connections.closeAll()
    this.#reopening ??= this.#store.reopen().finally(() => {
      this.#reopening = null
    })
    return this.#reopening
  }

  /** A copy of this storage is in use elsewhere, and steps aside. */
  #metCopy(): void {
    if (this.#copied !== 'here') this.#copied = 'elsewhere'
    this.emit('copied', { where: 'elsewhere' })
  }

  /** This storage is the copy: it writes nothing more, and leaves the network to the other one. */
  #stepAside(): void {
    if (this.#copied === 'here') return
    this.#copied = 'here'
    this.#joining.abort(copiedError())
    for (const space of this.spaces()) space.stepAside()
    this.emit('copied', { where: 'here' })
    this.#cancelLinger = this.#platform.clock.after(lingerMs, () => {
      this.#isOffline = true
      this.#connections.closeAll()
      void this.#topics.leaveAll()
    })
  }

  #assertNotCopied(): void {
    if (this.#copied === 'here') throw copiedError()
  }

  #isWelcome(device: DeviceId): boolean {
    if (this.#isOffline) return false
    const takesWrites = this.#store.takesWrites && this.#reopening === null
    const isBanned = this.#standing.bannedUntil(device) !== null
    return device !== this.id && !isBanned && !this.#lifecycle.isClosing && takesWrites
  }

  #connected(connection: PeerConnection): void {
    const { device, transport } = connection
    this.emit('connection', { device, transport })
    for (const space of this.#spacesById.values()) space.connected(connection)
    this.#joining.connected(connection)
    this.#mirroring.connected(connection)
    // Now that its channels are there.
    connection.greeting.greet()
  }

  #greetingKeys(): Uint8Array[] {
    const ofSpaces = this.#device.spaces.map(({ spaceKey }) => spaceKey)
    return [...this.#joining.keys, ...this.#mirroring.keys, ...ofSpaces]
  }
}
