/**
 * One log on this device. A `Log` outlives its hypercore session, so that the store can be opened again under it after a
 * disk failure.
 *
 * A log's key is that of a literal hypercore manifest with one signer, the device, and a namespace made of the space and
 * the log's name: whoever knows the device knows its logs, and a log proves its author by itself.
 */
import Hypercore from 'hypercore'
import type { KeyPair, Manifest } from 'hypercore'
import { toHex } from '../bytes.ts'
import { hash } from '../crypto.ts'
import { SkeinError, storageError } from '../errors.ts'
import { Emitter } from '../events.ts'
import type { Clock } from '../platform.ts'
import type { DeviceKeys } from '../transport.ts'
import { branchOf, forgetNodes, takeBranch, type Branch } from './branch.ts'
import { coded } from './database.ts'
import type { CoreName, LogId } from './entry.ts'
import { forgetKeys } from './forget-keys.ts'
import { holdWrites } from './hold.ts'
import { tellLengths } from './lengths.ts'
import {
  allowPush,
  awaitPushes,
  forgiveMisfits,
  guardConflicts,
  heedRequests,
  lookQuietly,
  pushBlocks,
  type Guesses
} from './push.ts'
import { Receiver, type ReceivedHead } from './receive.ts'

const appendDeadlineMs = 30_000
const hashesKept = 512

export interface LogName {
  readonly space: Uint8Array
  readonly device: Uint8Array
  readonly core: CoreName
}

export interface LogEvents {
  /** There are blocks that were not there before, or the log was opened again. */
  progress: object
  /** A block came from a peer. */
  downloaded: { index: number; bytes: number }
  /** A peer has another block at a place that we have: the log has two versions. */
  conflict: { length: number }
}

/** The key of a device's log; anyone who knows the names can compute it. */
export function logKeyOf(name: LogName): Uint8Array {
  return Hypercore.key(manifestOf(name))
}

export function logIdOf(name: LogName): LogId {
  return toHex(logKeyOf(name).subarray(0, 8))
}

// Pinned to the last field: another value anywhere gives another key. `test/unit/store.test.ts` has a golden vector.
function manifestOf({ space, device, core }: LogName): Manifest {
  return {
    version: 1,
    hash: 'blake2b',
    allowPatch: false,
    quorum: 1,
    signers: [
      {
        signature: 'ed25519',
        namespace: hash('skein/log', space, new TextEncoder().encode(core)),
        publicKey: device
      }
    ],
    prologue: null,
    linked: null,
    userData: null
  }
}

/** What the author of a log has signed: how long it is, and the hash of its tree. */
export interface SignedHead {
  readonly length: number
  readonly treeHash: Uint8Array
  /** By hypercore: one signature of the device's key, in the encoding of several. */
  readonly signature: Uint8Array
}

/** What opens a hypercore: a corestore. */
export interface CoreSource {
  get(options: {
    manifest: Manifest
    keyPair?: KeyPair
    allowFork?: boolean
    allowPush?: boolean
  }): Hypercore
}

/** One log on this device, its own (writable) or another's. */
export class Log extends Emitter<LogEvents> {
  readonly name: LogName
  readonly key: Uint8Array
  readonly id: LogId
  readonly #keys: DeviceKeys | null
  readonly #clock: Clock
  #core!: Hypercore
  /** How long the log was when the store was closed under it; null while it is attached. */
  #lengthsBefore: { length: number; contiguous: number; bytes: number } | null = null
  #live: { destroy(): void } | null = null
  #wantsAll = false
  /** What the append under way waits for, beside its own writing. */
  #hold: Promise<void> | null = null
  #appending = 0
  readonly #hashes = new Map<number, string>()
  readonly #guesses: Guesses = new WeakMap()

  constructor(name: LogName, keys: DeviceKeys | null, clock: Clock) {
    super()
    this.name = name
    this.key = logKeyOf(name)
    this.id = toHex(this.key.subarray(0, 8))
    this.#keys = keys
    this.#clock = clock
  }

  /**
   * Opens the hypercore behind the log, also again after the store was opened again. For `LogStore`. Fails with
   * `DISK_FULL` and so on.
   * @internal
   */
  async attach(store: CoreSource): Promise<void> {
    const core = store.get({
      manifest: manifestOf(this.name),
      ...(this.#keys === null ? {} : { keyPair: this.#keys }),
      allowFork: false,
      allowPush: false
    })
    await coded(`Log ${this.id} could not be opened`, () => core.ready())
    guardConflicts(core, (length) => this.emit('conflict', { length }))
    forgiveMisfits(core)
    awaitPushes(core)
    heedRequests(core)
    lookQuietly(core)
    tellLengths(core)
    if (this.#keys !== null) holdWrites(core, () => this.#hold)
    this.#core = core
    this.#lengthsBefore = null
    let { length } = core
    core.on('append', () => {
      // Not once the append resolves: a write of hints comes before that, and would be waited for.
      if (this.#appending > 0) pushBlocks(core, length, core.length, this.#guesses)
      length = core.length
      // In memory now, and costly to read back: what follows an edit asks for it on both sides.
      this.#remember(core.state.length, core.state.hash())
      this.emit('progress', {})
    })
    core.on('download', (index, bytes) => {
      this.emit('downloaded', { index, bytes })
      this.emit('progress', {})
    })
    core.on('truncate', () => {
      length = core.length
      this.#hashes.clear()
    })
    if (this.#wantsAll) this.download()
    this.emit('progress', {})
  }

  /**
   * The store is about to be closed under the log. Until it is attached again the log has the length it had (a closed
   * hypercore would say 0), and nothing can be read or appended.
   * @internal
   */
  detach(): void {
    if (this.#lengthsBefore !== null) return
    this.#live?.destroy()
    this.#live = null
    const { length, contiguousLength: contiguous, byteLength: bytes } = this.#core
    this.#lengthsBefore = { length, contiguous, bytes }
  }

  /** False while the store is closed under the log; 'progress' tells of the end of that. */
  get isAttached(): boolean {
    return this.#lengthsBefore === null
  }

  /** Blocks known of, here or not. */
  get length(): number {
    return this.#lengthsBefore?.length ?? this.#core.length
  }

  /** Blocks that are here without a gap from the first. */
  get contiguousLength(): number {
    return this.#lengthsBefore?.contiguous ?? this.#core.contiguousLength
  }

  get byteLength(): number {
    return this.#lengthsBefore?.bytes ?? this.#core.byteLength
  }

  /** The block, or null if it is not here. Never waits for a peer. Fails with `STORAGE_FAILED` and so on. */
  get(index: number): Promise<Uint8Array | null> {
    return this.#read((core) => core.get(index, { wait: false }))
  }

  /**
   * Appends to one's own log, and sends the blocks to connected peers. With `durable`, nobody sees them, here or
   * elsewhere, before that resolves; where it rejects, they are not appended. Returns where the last of them ends: further
   * on than was to be expected where a peer brought the log on meanwhile. Fails with `STORAGE_FAILED` (or the store's
   * error), also where the store hangs.
   */
  async append(blocks: Uint8Array[], durable: Promise<void> | null = null): Promise<number> {
    this.#assertAttached()
    this.#hold = durable
    this.#appending++
    // However late that is: what is under way stays held.
    const appended = this.#core.append(blocks).finally(() => {
      this.#appending--
      if (this.#hold === durable) this.#hold = null
    })
    let cancel = (): void => {}
    const deadline = new Promise<never>((_, reject) => {
      cancel = this.#clock.after(appendDeadlineMs, () => {
        reject(
          new SkeinError('STORAGE_FAILED', `An append did not end within ${appendDeadlineMs} ms`)
        )
      })
    })
    try {
      const { length } = await Promise.race([appended, deadline])
      return length
    } catch (cause) {
      throw storageError(this.#notWritten, cause)
    } finally {
      cancel()
    }
  }

  /** Appends to a log whose keys are not this device's but are at hand: a cold owner's. All of it must be here. */
  async appendAs(keys: DeviceKeys, blocks: Uint8Array[]): Promise<void> {
    this.#assertAttached()
    if (this.contiguousLength < this.length) {
      throw new SkeinError('LOG_BEHIND', `Log ${this.id} is not here as far as it is known to go`)
    }
    await coded(this.#notWritten, () => this.#core.append(blocks, { keyPair: keys }))
  }

  /** The first 8 bytes of the tree hash at a length, in hex; null for a length beyond what is here without a gap. */
  async treeHashAt(length: number): Promise<string | null> {
    const known = this.#hashes.get(length)
    if (known !== undefined) return known
    // Hypercore would wait, perhaps for ever, for a length beyond its own and for a last block that is not here.
    if (length > this.contiguousLength) return null
    return this.#remember(length, await this.treeHash(length))
  }

  /** The tree hash at a length up to which the log is here without a gap. */
  treeHash(length: number): Promise<Uint8Array> {
    return this.#read((core) => core.treeHash(length))
  }

  /** Null for an empty log. */
  get head(): SignedHead | null {
    this.#assertAttached()
    const { state } = this.#core
    if (state.signature === null) return null
    return { length: state.length, treeHash: state.hash(), signature: state.signature }
  }

  #remember(length: number, treeHash: Uint8Array): string {
    const short = toHex(treeHash.subarray(0, 8))
    this.#hashes.set(length, short)
    if (this.#hashes.size > hashesKept) {
      const oldest = this.#hashes.keys().next()
      if (oldest.done !== true) this.#hashes.delete(oldest.value)
    }
    return short
  }

  /**
   * Lets go of all that is here of another's log, its end too, so that peers bring it anew. Fails with `STORAGE_FAILED`
   * and so on.
   */
  async startOver(): Promise<void> {
    this.#assertAttached()
    const { fork } = this.#core
    // It goes on where it had got to.
    this.#live?.destroy()
    this.#live = null
    try {
      await coded(this.#notWritten, () => this.#core.truncate(0, { fork }))
      forgetNodes(this.#core)
    } finally {
      if (this.#wantsAll) this.download()
    }
  }

  /** Wants every block, present and future, from whoever is connected. */
  download(): void {
    this.#wantsAll = true
    if (!this.isAttached || this.#live !== null) return
    this.#live = this.#core.download({ start: 0, end: -1 })
  }

  /** Sends blocks to connected peers unasked. */
  push(from: number, to: number): void {
    if (!this.isAttached) return
    pushBlocks(this.#core, from, to)
  }

  /** Takes blocks unasked; see `push.ts` for when that is right. */
  allowPush(allow: boolean): void {
    if (!this.isAttached) return
    allowPush(this.#core, allow)
  }

  /** Replicates the log over a muxer; harmless if it does so already. */
  replicate(mux: unknown): void {
    if (!this.isAttached) return
    const { replicator } = this.#core.core
    if (!replicator.attached(mux)) replicator.attachTo(mux)
  }

  /** Takes blocks that did not come from a peer. Fails with `BAD_SEAL` where the head is not what its author signed. */
  receiver(head: ReceivedHead): Receiver {
    this.#assertAttached()
    return new Receiver(this.#core, head)
  }

  /** Blocks came in another way than from a peer: whoever reads on is to look. */
  received(): void {
    this.emit('progress', {})
  }

  /** Did fetching stop from some peer, since what came could not be written, or was wrong? */
  get isStalled(): boolean {
    return this.isAttached && this.#core.core.replicator.peers.some((peer) => peer.paused)
  }

  /** The same of the peer at the other end of a muxer. */
  isStalledOn(mux: unknown): boolean {
    if (!this.isAttached) return false
    return this.#core.core.replicator.peers.some((peer) => peer.paused && peer.protomux === mux)
  }

  /** Ends that. */
  unreplicate(mux: unknown): void {
    if (!this.isAttached) return
    const { replicator } = this.#core.core
    if (!replicator.attached(mux)) return
    replicator.detachFrom(mux)
    for (const peer of [...replicator.peers]) if (peer.protomux === mux) peer.channel.close()
  }

  /** The version of the log that is here; see `branch.ts`. */
  branch(common: number, points: readonly number[]): Promise<Branch | null> {
    return this.#read((core) => branchOf(core, common, points))
  }

  /** Puts another version in the place of the one that is here, for good. Fails with `BAD_SEAL`. */
  async takeBranch(branch: Branch): Promise<void> {
    this.#assertAttached()
    await coded(this.#notWritten, () => takeBranch(this.#core, branch))
    this.#hashes.clear()
    // Hypercore does not look again for what it has once had.
    this.#live?.destroy()
    this.#live = null
    if (this.#wantsAll) this.download()
    this.emit('progress', {})
  }

  /** Hypercore keeps the keys of a log of one's own beside it. This takes them away: from here on it is another's. */
  async forgetKeys(): Promise<void> {
    this.#assertAttached()
    await coded(this.#notWritten, () => forgetKeys(this.#core))
  }

  async close(): Promise<void> {
    if (!this.isAttached) return
    this.#live?.destroy()
    await coded(`Log ${this.id} could not be closed`, async () => {
      // A block that came from a peer may be being verified: hypercore would go on to write it into a closed store.
      const { mutex } = this.#core.core.state
      await mutex.lock()
      mutex.unlock()
      await this.#core.close()
    })
  }

  #read<T>(read: (core: Hypercore) => Promise<T>): Promise<T> {
    return coded(`Log ${this.id} could not be read`, () => {
      this.#assertAttached()
      return read(this.#core)
    })
  }

  get #notWritten(): string {
    return `Log ${this.id} could not be written`
  }

  #assertAttached(): void {
    if (this.isAttached) return
    throw new SkeinError('STORAGE_FAILED', `Log ${this.id} waits for the store to be opened again`)
  }
}
