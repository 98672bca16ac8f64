/**
 * Logs with two versions: finds out that there is another, proves it, and says which of them stays, by the rule in
 * `trust/README.md`. In Yjs's notation, two messages of the space's channel:
 *
 *     6 differs := log(8) • (varUint(length) • treeHash(32))*     // of this log the sender has these; zeros: it has not,
 *                                                                 // and wants to know
 *     7 branch  := log(8) • branch                                // what the sender has instead; see log/branch.ts
 *
 * Whoever sees that a peer has another version asks all it is connected to. Each that differs answers with its own head
 * and how that grew from the greatest of these lengths at which both are alike; it is asked again, closer and closer, until
 * that is the greatest of all. The asker declares the version it holds, together
 * with the proof, in its control log, unless a stronger declaration of that version stands there already; and where the
 * strongest declaration that tells the two apart is of the other version, it takes that.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, equalBytes, fromHex, readBytes, toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import { Branch } from '../log/branch.ts'
import type { LogId } from '../log/entry.ts'
import type { Log } from '../log/log.ts'
import type { Clock } from '../platform.ts'
import { contradiction, encodeForkProof, isNamedBy, type Declaration } from '../trust/fork-proof.ts'
import type { DeviceId } from '../trust/members.ts'

/** Between two questions about one log: what gives rise to them comes with every edit. */
const paceMs = 1_000
const maxSamples = 128
const maxDeclared = 32
const closerSamples = 64

const notHeld = new Uint8Array(32)

export interface ForksOptions {
  readonly me: DeviceId
  readonly clock: Clock
  readonly log: (id: LogId) => Log | null
  readonly isOwn: (log: Log) => boolean
  /** What members have declared of a log, the strongest first. */
  readonly declarations: (log: Log) => readonly Declaration[]
  readonly mayDeclare: () => boolean
  /** Writes a fork proof; resolves once it counts here. */
  readonly declare: (body: Uint8Array) => Promise<void>
  /** Asks everyone who is connected. */
  readonly ask: (bytes: Uint8Array) => void
  /** Puts another version in the place of the one that is here. */
  readonly take: (log: Log, branch: Branch) => Promise<void>
  /** A log was found to have two versions, alike up to that length. Told once a run. */
  readonly onFork: (log: Log, common: number) => void
  readonly onFailed: (error: unknown) => void
}

interface Look {
  askedAtMs: number
  cancel: (() => void) | null
}

export class Forks {
  readonly #options: ForksOptions
  readonly #looks = new Map<Log, Look>()
  readonly #told = new Set<string>()
  readonly #parted = new Set<LogId>()
  /** One at a time: each may change what the next is about. */
  #working: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(options: ForksOptions) {
    this.#options = options
  }

  /** Has this device seen two heads of a log that contradict each other? */
  isParted(log: LogId): boolean {
    return this.#parted.has(log)
  }

  /** Somebody has, or names, another version of a log than is here. */
  suspect(log: Log): void {
    if (this.#isStopped) return
    const { clock } = this.#options
    let look = this.#looks.get(log)
    if (look === undefined) this.#looks.set(log, (look = { askedAtMs: -Infinity, cancel: null }))
    if (look.cancel !== null) return
    const waitMs = Math.max(0, Math.min(paceMs, look.askedAtMs + paceMs - clock.now()))
    const current = look
    look.cancel = clock.after(waitMs, () => {
      current.cancel = null
      current.askedAtMs = clock.now()
      this.#do(() => this.#ask(log))
    })
  }

  /** A member has declared a version of a log, with the proof that there are two. */
  declared(log: Log, common: number): void {
    this.#tell(log, common)
    this.reconsider(log)
  }

  /** What is declared of a log that has two versions may be another than before. */
  reconsider(log: Log): void {
    this.#do(async () => {
      const [strongest] = this.#options.declarations(log)
      if (strongest !== undefined && !(await holds(log, strongest))) this.suspect(log)
    })
  }

  /** What a peer has of a log, as it says; the answer, or null where none is due. Fails with `BAD_ENCODING`. */
  async answer(bytes: Uint8Array): Promise<Uint8Array | null> {
    const { log: id, samples } = decodeDiffers(bytes)
    const log = this.#options.log(id)
    if (log === null || !log.isAttached || samples.length === 0) return null
    let common = 0
    for (const { length, treeHash } of samples) {
      if (length > log.contiguousLength || equalBytes(treeHash, notHeld)) continue
      if (equalBytes(await log.treeHash(length), treeHash)) common = Math.max(common, length)
      // What the peer cannot see, where its version is the longer one.
      else this.suspect(log)
    }
    // All that the peer has is here too, or the other way round.
    const held = samples.filter(({ treeHash }) => !equalBytes(treeHash, notHeld))
    const longest = Math.max(0, ...held.map(({ length }) => length))
    if (common >= Math.min(longest, log.length)) return null
    const branch = await log.branch(
      common,
      samples.map(({ length }) => length)
    )
    return branch === null ? null : encodeBranch(id, branch)
  }

  /**
   * Another version of a log, from a peer, which `ask` asks again. Fails with `BAD_ENCODING`, and with `BAD_SEAL` for what
   * is not signed.
   */
  receive(bytes: Uint8Array, ask: (bytes: Uint8Array) => void): void {
    const { log: id, branch } = decodeBranch(bytes)
    const log = this.#options.log(id)
    if (log === null) return
    if (!branch.isSignedBy(log.key, log.name.device))
      throw new SkeinError('BAD_SEAL', 'A branch is not signed by its log’s author')
    this.#do(() => this.#weigh(log, branch, ask))
  }

  stop(): void {
    this.#isStopped = true
    for (const { cancel } of this.#looks.values()) cancel?.()
  }

  /** Resolves when what is under way has ended. */
  ended(): Promise<void> {
    return this.#working
  }

  #do(work: () => Promise<void>): void {
    this.#working = this.#working.then(async () => {
      if (this.#isStopped) return
      try {
        await work()
      } catch (error) {
        if (!this.#isStopped) this.#options.onFailed(error)
      }
    })
  }

  async #ask(log: Log): Promise<void> {
    const end = log.contiguousLength
    const lengths: number[] = []
    for (let back = 1; back < end; back *= 2) lengths.push(end - back)
    // Who has nothing yet has no version that could be another.
    if (end > 0) this.#options.ask(encodeDiffers(log.id, await this.#samples(log, lengths)))
  }

  /** What is here at these lengths, at the end, and at those that members have declared. */
  async #samples(log: Log, lengths: readonly number[]): Promise<Sample[]> {
    const end = log.contiguousLength
    const declared = this.#options.declarations(log).slice(0, maxDeclared)
    const all = new Set([...lengths, end, ...declared.map(({ length }) => length)])
    const samples: Sample[] = []
    for (const length of [...all].sort((a, b) => a - b))
      samples.push({ length, treeHash: length > end ? notHeld : await log.treeHash(length) })
    return samples
  }

  async #weigh(log: Log, theirs: Branch, ask: (bytes: Uint8Array) => void): Promise<void> {
    const { isOwn, mayDeclare, declare, declarations, take } = this.#options
    if (!log.isAttached || theirs.common > log.contiguousLength) return
    const { common } = theirs
    const held = await log.branch(
      common,
      theirs.points.filter((point) => point <= log.contiguousLength)
    )
    const apart = held === null ? null : contradiction(held, theirs)
    if (held === null || apart === null) return
    if (apart - common > 1) {
      const step = Math.ceil((apart - common) / closerSamples)
      const lengths: number[] = []
      for (let at = common + step; at < apart; at += step) lengths.push(at)
      ask(encodeDiffers(log.id, await this.#samples(log, [common, ...lengths, apart])))
      return
    }
    this.#tell(log, common)
    if (!isOwn(log) && mayDeclare() && !(await this.#isDeclared(log, common)))
      await declare(encodeForkProof(log.name, held, theirs, await differing(log, held)))
    for (const declaration of declarations(log)) {
      if (declaration.length <= common) continue
      const isHeld = await holds(log, declaration)
      const isTheirs =
        theirs.points.includes(declaration.length) &&
        isNamedBy(declaration, theirs.treeHashAt(declaration.length))
      if (isHeld === isTheirs) continue
      if (isTheirs) await take(log, theirs)
      return
    }
  }

  #tell(log: Log, common: number): void {
    const what = `${log.id} ${common}`
    if (this.#told.has(what)) return
    this.#told.add(what)
    this.#parted.add(log.id)
    this.#options.onFork(log, common)
  }

  /**
   * Has the version that is here been declared, by this device or with more strength than it has? Beyond `common`, which
   * both versions have. Of a control log that is about to go, all of it has to be: it is declared with its blocks.
   */
  async #isDeclared(log: Log, common: number): Promise<boolean> {
    const [strongest, ...others] = this.#options
      .declarations(log)
      .filter(({ length }) => length > common)
    if (strongest !== undefined && (await holds(log, strongest))) return true
    const isWhole = log.name.core === 'control'
    for (const declaration of [strongest, ...others]) {
      if (declaration === undefined || (isWhole && declaration.length < log.length)) continue
      if (isWhole && (await holds(log, declaration))) return true
      if (declaration.issuer === this.#options.me && (await holds(log, declaration))) return true
    }
    return false
  }
}

/** Of a control log, the blocks in which the version that is here differs; none where they are not all here. */
async function differing(log: Log, held: Branch): Promise<Uint8Array[]> {
  const blocks: Uint8Array[] = []
  if (log.name.core !== 'control') return blocks
  for (let seq = held.common; seq < held.length; seq++) {
    const block = await log.get(seq)
    if (block === null) return []
    blocks.push(block)
  }
  return blocks
}

async function holds(log: Log, declaration: Declaration): Promise<boolean> {
  const { length } = declaration
  if (length > log.contiguousLength) return false
  return isNamedBy(declaration, await log.treeHash(length))
}

interface Sample {
  readonly length: number
  readonly treeHash: Uint8Array
}

function encodeDiffers(log: LogId, samples: readonly Sample[]): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8Array(encoder, fromHex(log))
  for (const { length, treeHash } of samples) {
    encoding.writeVarUint(encoder, length)
    encoding.writeUint8Array(encoder, treeHash)
  }
  return encoding.toUint8Array(encoder)
}

function decodeDiffers(bytes: Uint8Array): { log: LogId; samples: Sample[] } {
  return decodeAll(bytes, 'list of what is there of a log', (decoder) => {
    const log = toHex(decoding.readUint8Array(decoder, 8))
    const samples: Sample[] = []
    while (decoding.hasContent(decoder)) {
      if (samples.length === maxSamples) throw new RangeError('Too many lengths')
      const length = decoding.readVarUint(decoder)
      samples.push({ length, treeHash: readBytes(decoder, 32) })
    }
    return { log, samples }
  })
}

function encodeBranch(log: LogId, branch: Branch): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8Array(encoder, fromHex(log))
  encoding.writeVarUint8Array(encoder, branch.encode())
  return encoding.toUint8Array(encoder)
}

function decodeBranch(bytes: Uint8Array): { log: LogId; branch: Branch } {
  return decodeAll(bytes, 'branch', (decoder) => ({
    log: toHex(decoding.readUint8Array(decoder, 8)),
    branch: Branch.decode(decoding.readVarUint8Array(decoder))
  }))
}
