/**
 * One space on one connection: admission, what each side holds, presence, and which logs replicate. In Yjs's notation:
 *
 *     channel   := protomux 'skein/space/1', id = keyed hash of the handshake under the space key
 *     0 holds   := (log(8) • varUint(length) • treeHash(8))*
 *     1 presence                         // of the sender, or passed on: see presence-message.ts
 *     2 asks    := document(8)          // who is present there? Asked by who has just opened it
 *     3 look    := version(1 byte: 1) • document(8) • cut(16) • visible(16)   // see views/split.ts
 *     4 near    := version(1 byte: 1) • device(32)*     // whom the sender is connected to: see presence-relay.ts
 *     5 introduce                        // for the receiver, or to be passed on: see introducer.ts
 *     6 differs                          // what the sender has of a log that seems to have two versions: see forks.ts
 *     7 branch                           // what it has instead
 *     8 copies                           // runs of one device: see copies.ts
 *     9 request                          // to be let in, of a device that comes of a copy: see trust/copy.ts
 *     10 keep                            // another version of a log, for its author: see hand-over.ts
 *     11 kept                            // it need not be sent again
 *
 * Only the space's own logs are attached to the connection, and only once the other side is known for a member. A
 * device that is not known, but holds the space key, may bring newer control blocks of members that are: it learns
 * only of entries that it says are there, and may turn out to have been let in.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, fromHex, toHex } from '../bytes.ts'
import type { LogId } from '../log/entry.ts'
import type { Log } from '../log/log.ts'
import type { DeviceId } from '../trust/members.ts'
import type { Look } from '../views/split.ts'
import { spaceChannelId } from '../trust/keys.ts'
import { Channel } from './channel.ts'
import type { PeerConnection } from './connection.ts'
import type { Holding } from './holdings.ts'

const protocol = 'skein/space/1'
const lookVersion = 1
/** A piece of a version of a log holds a block at the least, which has up to 1 MiB and a little more. */
const maxMessageBytes = 1536 * 1024
const maxClaims = 100_000
/** Questions, looks and introductions a second from one device, over which they are dropped. */
const maxAskRate = 100
const nearVersion = 1
const maxNear = 10_000

/** What a device sees of a document. */
export interface DocumentLook extends Look {
  /** 8 bytes in hex. */
  readonly document: string
}

export interface SpaceChannelHost {
  readonly spaceKey: Uint8Array
  readonly now: () => number
  readonly isMember: (device: string) => boolean
  /** Of who is no member any more, where the entries stand that say so. */
  readonly newsFor: (device: string) => readonly { readonly log: LogId; readonly length: number }[]
  /** Does it hold the key of a cold owner, or this device while it looks for members? Then it gets control logs. */
  readonly isRecovering: (device: string) => boolean
  /** The logs that a member gets and brings. */
  readonly logs: () => readonly Log[]
  readonly holdings: () => Promise<Holding[]>
  /** Calls back after a while. */
  readonly retryLater: (again: () => void) => void
  readonly onAdmitted: (channel: SpaceChannel) => void
  readonly onHolds: (channel: SpaceChannel, holdings: readonly Holding[]) => void
  /** Fails with `BAD_ENCODING`, `BAD_SEAL`. */
  readonly onPresence: (channel: SpaceChannel, bytes: Uint8Array) => void
  /** A member asks who is present in a document. */
  readonly onAsked: (channel: SpaceChannel, document: string) => void
  readonly onNear: (channel: SpaceChannel, devices: DeviceId[]) => void
  readonly onLook: (channel: SpaceChannel, look: DocumentLook) => void
  /** Fails with `BAD_ENCODING`. */
  readonly onIntroduction: (channel: SpaceChannel, bytes: Uint8Array) => void
  /** Fails with `BAD_ENCODING`. */
  readonly onDiffers: (channel: SpaceChannel, bytes: Uint8Array) => void
  /** Fails with `BAD_ENCODING`, `BAD_SEAL`. */
  readonly onBranch: (channel: SpaceChannel, bytes: Uint8Array) => void
  /** Fails with `BAD_ENCODING`, `BAD_SEAL`. */
  readonly onCopies: (channel: SpaceChannel, bytes: Uint8Array) => void
  /** With what this device asks a member to be let in, or null. */
  readonly request: () => Uint8Array | null
  /** A device that is no member asks to be let in. Fails with `BAD_ENCODING`, `BAD_SEAL`. */
  readonly onRequest: (channel: SpaceChannel, bytes: Uint8Array) => void
  readonly onKeep: (channel: SpaceChannel, bytes: Uint8Array) => void
  readonly onKept: (channel: SpaceChannel, bytes: Uint8Array) => void
  /** `hasEnded`: the other side has ended it, over a connection that is open. */
  readonly onClosed: (channel: SpaceChannel, hasEnded: boolean) => void
}

export class SpaceChannel {
  readonly connection: PeerConnection
  readonly #host: SpaceChannelHost
  readonly #channel: Channel
  #isAdmitted = false
  /** What the other side holds has come at least once. */
  hasHoldings = false
  #claimed: readonly Holding[] = []
  #isListed = false
  #isTelling = false
  #hasTold = false
  readonly #unsent: Holding[] = []
  /** What came before the other side was known for a member. */
  #early: Uint8Array | null = null
  #hasRequested = false
  #isRequested = false
  #askSecond = 0
  #askCount = 0

  constructor(connection: PeerConnection, host: SpaceChannelHost) {
    this.connection = connection
    this.#host = host
    this.#channel = new Channel(connection, {
      protocol,
      id: spaceChannelId(host.spaceKey, connection.stream.handshakeHash),
      key: host.spaceKey,
      maxMessageBytes,
      messages: [
        (bytes) => this.#onHolds(bytes),
        (bytes) => this.#onPresence(bytes),
        (bytes) => this.#onAsked(bytes),
        (bytes) => this.#onLook(bytes),
        (bytes) => this.#onNear(bytes),
        (bytes) => this.#isWithinRate() && this.#host.onIntroduction(this, bytes),
        (bytes) => this.#isWithinRate() && this.#host.onDiffers(this, bytes),
        (bytes) => this.#isWithinRate() && this.#host.onBranch(this, bytes),
        (bytes) => this.#onCopies(bytes),
        (bytes) => this.#onRequest(bytes),
        (bytes) => this.#isWithinRate() && this.#host.onKeep(this, bytes),
        (bytes) => this.#isWithinRate() && this.#host.onKept(this, bytes)
      ],
      onOpen: () => this.update(),
      onClose: () => {
        this.#dismiss()
        this.hasHoldings = false
        this.#claimed = []
        this.#hasRequested = this.#isRequested = false
      }
    })
  }

  get device(): string {
    return this.connection.device
  }

  get isAdmitted(): boolean {
    return this.#isAdmitted
  }

  /** Looks again at who is a member and which logs there are. */
  update(): void {
    if (!this.#channel.isOpen) return
    if (!this.#host.isMember(this.device)) {
      if (this.#isAdmitted) {
        this.#acknowledgeLeave()
        this.#dismiss()
      }
      this.#tellOfRemoval()
      this.#recover()
      this.#attachNewerControl()
      return
    }
    for (const log of this.#host.logs()) log.replicate(this.connection.mux)
    if (this.#isAdmitted) return
    this.#isAdmitted = true
    this.#host.onAdmitted(this)
    this.#sendAll()
    this.#takeEarly()
    this.#request()
    if (this.#claimed.length > 0) this.#host.onHolds(this, this.#claimed)
  }

  sendHoldings(holdings: readonly Holding[]): void {
    // The other side takes the first message for the whole: what is new waits until that is out.
    if (this.#isListed) this.#channel.send(0, encodeHoldings(holdings))
    else this.#unsent.push(...holdings)
  }

  /** Tells all that is held here; again a while later where that failed, which the space is told of. */
  #sendAll(): void {
    this.#isListed = false
    this.#host.holdings().then(
      (holdings) => {
        if (!this.#isAdmitted) return
        this.#isListed = true
        this.sendHoldings([...holdings, ...this.#unsent.splice(0)])
      },
      () => this.#host.retryLater(() => this.#isAdmitted && this.#sendAll())
    )
  }

  sendPresence(bytes: Uint8Array): void {
    this.#channel.send(1, bytes)
  }

  sendNear(devices: readonly DeviceId[]): void {
    const encoder = encoding.createEncoder()
    encoding.writeUint8(encoder, nearVersion)
    for (const device of devices.slice(0, maxNear)) {
      encoding.writeUint8Array(encoder, fromHex(device))
    }
    this.#channel.send(4, encoding.toUint8Array(encoder))
  }

  sendIntroduction(bytes: Uint8Array): void {
    this.#channel.send(5, bytes)
  }

  sendLook({ document, cut, visible }: DocumentLook): void {
    const encoder = encoding.createEncoder()
    encoding.writeUint8(encoder, lookVersion)
    for (const part of [document, cut, visible]) encoding.writeUint8Array(encoder, fromHex(part))
    this.#channel.send(3, encoding.toUint8Array(encoder))
  }

  sendDiffers(bytes: Uint8Array): void {
    this.#channel.send(6, bytes)
  }

  sendBranch(bytes: Uint8Array): void {
    this.#channel.send(7, bytes)
  }

  sendCopies(bytes: Uint8Array): void {
    this.#channel.send(8, bytes)
  }

  sendKeep(bytes: Uint8Array): void {
    this.#channel.send(10, bytes)
  }

  sendKept(bytes: Uint8Array): void {
    this.#channel.send(11, bytes)
  }

  askPresence(document: string): void {
    this.#channel.send(2, fromHex(document))
  }

  close(): void {
    this.#channel.close()
    this.#detach()
  }

  /** Who leaves waits to hear that somebody holds its last entries; it hears of its own logs alone. */
  #acknowledgeLeave(): void {
    const logs = this.#host.logs().filter(({ name }) => toHex(name.device) === this.device)
    const isOfIts = ({ log }: Holding): boolean => logs.some(({ id }) => id === log)
    this.#host.holdings().then(
      (holdings) => this.#channel.send(0, encodeHoldings(holdings.filter(isOfIts))),
      () => {} // It does not wait for ever.
    )
  }

  /** The channel was closed, or its device is a member no longer: what was attached must not go on. */
  #dismiss(): void {
    this.#detach()
    this.#isAdmitted = false
    this.#isListed = false
    this.#unsent.length = 0
    this.#host.onClosed(this, !this.connection.isClosed)
  }

  #detach(): void {
    for (const log of this.#host.logs()) log.unreplicate(this.connection.mux)
  }

  #onHolds(bytes: Uint8Array): void {
    const holdings = decodeHoldings(bytes)
    this.hasHoldings = true
    this.#claim(holdings)
    if (this.#isAdmitted) this.#host.onHolds(this, holdings)
    else this.update()
  }

  /** Keeps what a device says it holds: of the space's own logs, and of a few more. */
  #claim(holdings: readonly Holding[]): void {
    const byLog = new Map([...this.#claimed, ...holdings].map((holding) => [holding.log, holding]))
    this.#claimed = [...byLog.values()].slice(0, maxClaims)
  }

  #onPresence(bytes: Uint8Array): void {
    if (this.#isAdmitted) this.#host.onPresence(this, bytes)
  }

  #onCopies(bytes: Uint8Array): void {
    if (!this.#isAdmitted) this.#early ??= bytes
    else if (this.#isWithinRate()) this.#host.onCopies(this, bytes)
  }

  /** Asks this member to be let in, where this device is to ask: once. */
  #request(): void {
    const request = this.#hasRequested ? null : this.#host.request()
    if (request === null) return
    this.#hasRequested = true
    this.#channel.send(9, request)
  }

  /** Looked at once over a connection. */
  #onRequest(bytes: Uint8Array): void {
    if (this.#isRequested || this.#host.isMember(this.device)) return
    this.#isRequested = true
    this.#host.onRequest(this, bytes)
  }

  #takeEarly(): void {
    const early = this.#early
    this.#early = null
    if (early === null) return
    try {
      this.#host.onCopies(this, early)
    } catch (error) {
      this.connection.fail(error)
    }
  }

  #onNear(bytes: Uint8Array): void {
    if (bytes[0] !== nearVersion || !this.#isWithinRate()) return
    const devices = decodeAll(bytes.subarray(1), 'list of devices', (decoder) => {
      const list: DeviceId[] = []
      while (decoding.hasContent(decoder)) list.push(toHex(decoding.readUint8Array(decoder, 32)))
      return list
    })
    this.#host.onNear(this, devices.slice(0, maxNear))
  }

  #onAsked(bytes: Uint8Array): void {
    if (!this.#isWithinRate()) return
    const document = decodeAll(bytes, 'question who is present', (decoder) =>
      toHex(decoding.readUint8Array(decoder, 8))
    )
    this.#host.onAsked(this, document)
  }

  #onLook(bytes: Uint8Array): void {
    // One that looks otherwise does not mean the same.
    if (bytes[0] !== lookVersion || !this.#isWithinRate()) return
    const look = decodeAll(bytes.subarray(1), 'look of a document', (decoder) => ({
      document: toHex(decoding.readUint8Array(decoder, 8)),
      cut: toHex(decoding.readUint8Array(decoder, 16)),
      visible: toHex(decoding.readUint8Array(decoder, 16))
    }))
    this.#host.onLook(this, look)
  }

  /** What costs an answer is bounded, and dropped beyond that. */
  #isWithinRate(): boolean {
    const second = Math.floor(this.#host.now() / 1000)
    if (second !== this.#askSecond) this.#askCount = 0
    this.#askSecond = second
    return this.#isAdmitted && ++this.#askCount <= maxAskRate
  }

  /**
   * Who has been removed hears of it: it gets control logs until it says that it holds the entry, and no content. Whoever
   * holds the space key can read what it gets meanwhile, and it has held it since it was let in.
   */
  #tellOfRemoval(): void {
    const claimedByLog = new Map(this.#claimed.map(({ log, length }) => [log, length]))
    const lacksNews =
      this.hasHoldings &&
      this.#host
        .newsFor(this.device)
        .some(({ log, length }) => (claimedByLog.get(log) ?? 0) < length)
    if (!lacksNews && this.#isTelling) this.#detach()
    this.#isTelling = lacksNews
    if (!lacksNews) return
    for (const log of this.#host.logs())
      if (log.name.core === 'control') log.replicate(this.connection.mux)
  }

  #recover(): void {
    if (!this.#host.isRecovering(this.device)) return
    const logs = this.#host.logs().filter(({ name }) => name.core === 'control')
    for (const log of logs) log.replicate(this.connection.mux)
    if (this.#hasTold) return
    this.#hasTold = true
    this.#host.holdings().then(
      (holdings) => {
        const isControl = ({ log }: Holding): boolean => logs.some(({ id }) => id === log)
        this.#channel.send(0, encodeHoldings(holdings.filter(isControl)))
      },
      () => {
        this.#hasTold = false
        this.#host.retryLater(() => this.update())
      }
    )
  }

  /** What the other side has said that it holds. */
  get claimed(): readonly Holding[] {
    return this.#claimed
  }

  #attachNewerControl(): void {
    const claimedByLog = new Map(this.#claimed.map(({ log, length }) => [log, length]))
    for (const log of this.#host.logs()) {
      if (log.name.core !== 'control' || (claimedByLog.get(log.id) ?? 0) <= log.length) continue
      log.replicate(this.connection.mux)
    }
  }
}

function encodeHoldings(holdings: readonly Holding[]): Uint8Array {
  const encoder = encoding.createEncoder()
  for (const { log, length, treeHash } of holdings) {
    encoding.writeUint8Array(encoder, fromHex(log))
    encoding.writeVarUint(encoder, length)
    encoding.writeUint8Array(encoder, fromHex(treeHash))
  }
  return encoding.toUint8Array(encoder)
}

function decodeHoldings(bytes: Uint8Array): Holding[] {
  return decodeAll(bytes, 'list of holdings', (decoder) => {
    const holdings: Holding[] = []
    while (decoding.hasContent(decoder)) {
      const log = toHex(decoding.readUint8Array(decoder, 8))
      const length = decoding.readVarUint(decoder)
      holdings.push({ log, length, treeHash: toHex(decoding.readUint8Array(decoder, 8)) })
    }
    return holdings
  })
}
