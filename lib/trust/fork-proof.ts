/**
 * The body of a fork proof, in Yjs's protocol notation:
 *
 *     forkProof := device(32) • varString(core) • varUint8Array(branch) • varUint8Array(branch)    // see log/branch.ts
 *                  • varUint(n) • varUint8Array(block)*n
 *
 * Two heads of one log that its author signed and that contradict each other: alike up to one length, and different at
 * the next. It proves itself, whoever writes it. The first of them is the version that its writer held then, and declares;
 * of a control log, the blocks in which that differs come along, since some of what they say counts whichever version stays.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, equalBytes, readBytes, toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import { Branch } from '../log/branch.ts'
import { readCoreName, type CoreName, type LogId } from '../log/entry.ts'
import { logIdOf, logKeyOf, type LogName } from '../log/log.ts'

/** More blocks than this are left out. */
const maxCarriedBytes = 512 * 1024

export interface ForkProof {
  /** The log's author: a signing key. */
  readonly device: Uint8Array
  readonly log: LogId
  /** The length up to which the versions are alike, and no further. */
  readonly common: number
  /** The version that the proof's writer held: its length, and its tree hash there. */
  readonly length: number
  readonly treeHash: Uint8Array
  readonly name: LogName
  /** Those of the version held, from `common` on, or none. */
  readonly blocks: readonly Uint8Array[]
}

export function encodeForkProof(
  { device, core }: LogName,
  held: Branch,
  other: Branch,
  blocks: readonly Uint8Array[] = []
): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8Array(encoder, device)
  encoding.writeVarString(encoder, core)
  encoding.writeVarUint8Array(encoder, held.encode())
  encoding.writeVarUint8Array(encoder, other.encode())
  const bytes = blocks.reduce((sum, block) => sum + block.length, 0)
  const carried = bytes > maxCarriedBytes ? [] : blocks
  encoding.writeVarUint(encoder, carried.length)
  for (const block of carried) encoding.writeVarUint8Array(encoder, block)
  return encoding.toUint8Array(encoder)
}

interface ProofParts {
  readonly device: Uint8Array
  readonly core: CoreName
  readonly held: Branch
  readonly other: Branch
  readonly blocks: readonly Uint8Array[]
}

/** What it says, whether that proves anything or not. Fails with `BAD_ENCODING`. */
export function decodeForkProof(bytes: Uint8Array): ProofParts {
  return decodeAll(bytes, 'proof of a fork', (decoder) => {
    const device = readBytes(decoder, 32)
    const core = readCoreName(decoder)
    const [held, other] = [0, 1].map(() => Branch.decode(decoding.readVarUint8Array(decoder)))
    const count = decoding.readVarUint(decoder)
    if (count > bytes.length) throw new RangeError(`${count} blocks`)
    const blocks = Array.from(
      { length: count },
      () => new Uint8Array(decoding.readVarUint8Array(decoder))
    )
    return { device, core, held: held!, other: other!, blocks }
  })
}

/** Fails with `BAD_ENCODING`, and with `BAD_SEAL` where it proves nothing. */
export function readForkProof(bytes: Uint8Array, space: Uint8Array): ForkProof {
  const { device, core, held, other, blocks } = decodeForkProof(bytes)
  const name = { space, device, core }
  const key = logKeyOf(name)
  if (!held.isSignedBy(key, name.device) || !other.isSignedBy(key, name.device))
    throw new SkeinError('BAD_SEAL', 'Two heads are not those of one log')
  // Who said that they part earlier than they do would take power, and entries, from where they are alike.
  if (contradiction(held, other) !== held.common + 1)
    throw new SkeinError('BAD_SEAL', 'Two heads of a log do not show where they part')
  if (blocks.length > 0 && !held.isMadeOf(blocks))
    throw new SkeinError('BAD_SEAL', 'Blocks are not those of the version that they come with')
  const treeHash = held.treeHashAt(held.length)
  const { common, length } = held
  return { device: name.device, log: logIdOf(name), common, length, treeHash, name, blocks }
}

/** The first length known of at which two versions differ, though they are alike up to `common`; null where there is none to be told. */
export function contradiction(a: Branch, b: Branch): number | null {
  if (a.common !== b.common) return null
  if (!equalBytes(a.treeHashAt(a.common), b.treeHashAt(b.common))) return null
  const differing = a.points.find(
    (point) => b.points.includes(point) && !equalBytes(a.treeHashAt(point), b.treeHashAt(point))
  )
  return differing ?? null
}

/** What a member has said it held of a forked log, in a proof or by what a cut keeps of it. */
export interface Declaration {
  /** A signing key in hex. */
  readonly issuer: string
  readonly rank: number
  readonly isCut: boolean
  readonly length: number
  /** In hex; of a cut the first 8 bytes. */
  readonly treeHash: string
}

/** The stronger first: a cut, then whoever ranks higher, then what is longer, then what has the smaller hash. */
export function byStrength(a: Declaration, b: Declaration): number {
  return (
    Number(b.isCut) - Number(a.isCut) ||
    b.rank - a.rank ||
    b.length - a.length ||
    (a.treeHash < b.treeHash ? -1 : 1)
  )
}

/** Is that the version that is declared? `treeHash` is that at its length. */
export function isNamedBy({ treeHash: named }: Declaration, treeHash: Uint8Array): boolean {
  return toHex(treeHash).startsWith(named)
}

export function declarationOf(
  { length, treeHash }: ForkProof,
  issuer: string,
  rank: number
): Declaration {
  return { issuer, rank, isCut: false, length, treeHash: toHex(treeHash) }
}
