/**
 * Finds out that a copy of this device's storage runs elsewhere, and helps other devices to. Two runs of one device have
 * one key, so they never meet, and take each other's place at each member they reach: members tell them of each other and
 * hand on what they write to one another. In Yjs's notation:
 *
 *     copies := 0 • run(16)              // which of its device's runs the sender is
 *             | 1 • run(16)*             // other runs of the receiver's device that the sender has met, and not seen end
 *             | 2 • letter               // from one run to another; see trust/copy.ts
 *
 * What members say is believed of nobody: it is a letter, signed by the device, that proves another run.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, fromHex, readBytes, toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import type { Clock } from '../platform.ts'
import type { DeviceKeys } from '../transport.ts'
import {
  addresseeOf,
  encodeLetter,
  maxCopies,
  openLetter,
  runBytes,
  stepsAside,
  type Copied,
  type Letter
} from '../trust/copy.ts'
import type { DeviceId } from '../trust/members.ts'

const tags = { run: 0, others: 1, letter: 2 } as const

/** How long a run is told of to others of its device after it was lost without a word. */
const aboutMs = 60_000
/** How long a run that a member has told of is waited for to write: two runs change places there within seconds. */
const patienceMs = 10_000
/** Of each device. */
const maxRuns = 8
const maxLettersOfRun = 8
/** That this device keeps what it has written to; members may tell of runs that never were. */
const maxWrittenTo = 256

/** A connected member. */
export interface CopyPeer {
  readonly device: DeviceId
  sendCopies(bytes: Uint8Array): void
}

export interface CopiesOptions {
  readonly clock: Clock
  readonly keys: DeviceKeys
  /** Names this run: 16 bytes. */
  readonly run: Uint8Array
  /** Of this storage; see `Storage.copyIds`. */
  readonly copyIds: readonly Uint8Array[]
  /** Has some space not been answered how much this device has written? */
  readonly asks: () => boolean
  /** This storage is the copy, and the other one goes on. */
  readonly onAside: () => void
  /** A copy of this storage, or a storage that this is a copy of, is in use elsewhere, and steps aside. Once for each of its runs. */
  readonly onMet: () => void
  /** `isSettledBy` may have changed. */
  readonly onChange: () => void
}

/** A run of another device. */
interface Run {
  readonly peers: Set<CopyPeer>
  readonly letters: Uint8Array[]
  /** When it was last connected. */
  seenMs: number
  /** It said that it ends. */
  hasEnded: boolean
}

export class Copies {
  readonly #options: CopiesOptions
  readonly #run: string
  readonly #writtenByRun = new Map<string, { letter: Letter; bytes: Uint8Array }>()
  /** Other runs of this device that members have told of: true while they are waited for. */
  readonly #waitsByRun = new Map<string, boolean>()
  /** Runs that a letter came from. */
  readonly #met = new Set<string>()
  /** What members have told, over connections that are open. */
  readonly #toldByPeer = new Map<CopyPeer, readonly string[]>()
  readonly #runsByDevice = new Map<DeviceId, Map<string, Run>>()
  readonly #cancels = new Set<() => void>()

  constructor(options: CopiesOptions) {
    this.#options = options
    this.#run = toHex(options.run)
  }

  /** A member is connected. */
  met(peer: CopyPeer): void {
    peer.sendCopies(encodeRuns(tags.run, [this.#run]))
  }

  /** It is connected no longer; `hasEnded`: it has said so itself. */
  left(peer: CopyPeer, hasEnded: boolean): void {
    this.#toldByPeer.delete(peer)
    for (const run of this.#runsByDevice.get(peer.device)?.values() ?? []) {
      if (!run.peers.delete(peer)) continue
      run.seenMs = this.#options.clock.now()
      run.hasEnded = hasEnded && run.peers.size === 0
    }
  }

  /** Fails with `BAD_ENCODING`, `BAD_SEAL`. */
  receive(peer: CopyPeer, bytes: Uint8Array): void {
    const [tag, body] = [bytes[0], bytes.subarray(1)]
    if (tag === tags.letter) return this.#receiveLetter(peer, new Uint8Array(body))
    if (tag !== tags.run && tag !== tags.others) return
    const runs = decodeAll(body, 'list of runs', (decoder) => {
      const list: string[] = []
      while (decoding.hasContent(decoder)) list.push(toHex(readBytes(decoder, runBytes)))
      return list
    })
    if (tag === tags.others) return this.#told(peer, runs)
    if (runs.length !== 1) throw new SkeinError('BAD_ENCODING', 'A device has one run at a time')
    this.#runs(peer, runs[0]!)
  }

  /** Has that member said whether it knows of other runs, and has each of them written or been waited for in vain? */
  isSettledBy(device: DeviceId): boolean {
    for (const [peer, runs] of this.#toldByPeer)
      if (peer.device === device && runs.every((run) => this.#waitsByRun.get(run) !== true))
        return true
    return false
  }

  stop(): void {
    for (const cancel of this.#cancels) cancel()
    this.#cancels.clear()
  }

  /** A member is that run of its device. */
  #runs(peer: CopyPeer, name: string): void {
    const { clock } = this.#options
    const runs = this.#runsByDevice.get(peer.device) ?? new Map<string, Run>()
    this.#runsByDevice.set(peer.device, runs)
    const run = runs.get(name) ?? { peers: new Set(), letters: [], seenMs: 0, hasEnded: false }
    runs.delete(name) // The last in the list is the one that was there last.
    runs.set(name, run)
    run.peers.add(peer)
    run.hasEnded = false
    run.seenMs = clock.now()
    for (const oldest of [...runs.keys()].slice(0, -maxRuns)) runs.delete(oldest)
    const isAbout = ({ hasEnded, peers, seenMs }: Run): boolean =>
      !hasEnded && (peers.size > 0 || clock.now() - seenMs <= aboutMs)
    const others = [...runs].filter(([other, one]) => other !== name && isAbout(one))
    peer.sendCopies(
      encodeRuns(
        tags.others,
        others.map(([other]) => other)
      )
    )
    for (const letter of run.letters) peer.sendCopies(withTag(tags.letter, letter))
  }

  /** A member knows of these runs of this device. */
  #told(peer: CopyPeer, runs: readonly string[]): void {
    const { clock, onChange } = this.#options
    const others = runs.slice(0, maxRuns).filter((run) => run !== this.#run)
    this.#toldByPeer.set(peer, others)
    for (const run of others) {
      peer.sendCopies(withTag(tags.letter, this.#writeTo(run).bytes))
      if (this.#waitsByRun.has(run)) continue
      this.#waitsByRun.set(run, !this.#met.has(run))
      const cancel = clock.after(patienceMs, () => {
        this.#cancels.delete(cancel)
        if (this.#waitsByRun.has(run)) this.#waitsByRun.set(run, false)
        onChange()
      })
      this.#cancels.add(cancel)
    }
    onChange()
  }

  #receiveLetter(peer: CopyPeer, bytes: Uint8Array): void {
    const to = addresseeOf(bytes)
    if (to === this.#run) return this.#read(peer, openLetter(bytes, this.#options.keys.publicKey))
    // To be handed on, to the sender's own device alone.
    const run = this.#runsByDevice.get(peer.device)?.get(to)
    if (run === undefined) return
    if (!run.letters.some((known) => toHex(known) === toHex(bytes))) run.letters.push(bytes)
    if (run.letters.length > maxLettersOfRun) run.letters.shift()
    for (const other of run.peers) other.sendCopies(withTag(tags.letter, bytes))
  }

  /** Another run of this device is there: it has signed so to this run. */
  #read(peer: CopyPeer, other: Letter): void {
    if (other.from === this.#run || this.#met.has(other.from)) return
    const mine = this.#writeTo(other.from)
    this.#met.add(other.from)
    this.#waitsByRun.set(other.from, false)
    peer.sendCopies(withTag(tags.letter, mine.bytes))
    if (stepsAside(mine.letter, other)) this.#options.onAside()
    else this.#options.onMet()
    this.#options.onChange()
  }

  /** The same each time, so that both judge by the same. */
  #writeTo(to: string): { letter: Letter; bytes: Uint8Array } {
    const known = this.#writtenByRun.get(to)
    if (known !== undefined) return known
    const [oldest] = this.#writtenByRun.keys()
    if (oldest !== undefined && this.#writtenByRun.size >= maxWrittenTo) {
      this.#writtenByRun.delete(oldest)
      this.#waitsByRun.delete(oldest)
    }
    const { keys, asks, copyIds } = this.#options
    const copied: Copied = { asks: asks(), copies: copyIds.slice(-maxCopies).map(toHex) }
    const letter = { to, from: this.#run, ...copied }
    const written = { letter, bytes: encodeLetter(letter, keys) }
    this.#writtenByRun.set(to, written)
    return written
  }
}

function encodeRuns(tag: number, runs: readonly string[]): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8(encoder, tag)
  for (const run of runs) encoding.writeUint8Array(encoder, fromHex(run))
  return encoding.toUint8Array(encoder)
}

function withTag(tag: number, bytes: Uint8Array): Uint8Array {
  const tagged = new Uint8Array(1 + bytes.length)
  tagged[0] = tag
  tagged.set(bytes, 1)
  return tagged
}
