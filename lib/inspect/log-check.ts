/** Checks one log as it lies in the store: its own records, its signed head, its tree and blocks, what it says it has. */
import crypto from 'hypercore-crypto'
import caps from 'hypercore/lib/caps.js'
import Verifier from 'hypercore/lib/verifier.js'
import type { StoredAuth, StoredHead } from 'hypercore-storage'
import { equalBytes } from '../bytes.ts'
import { Unreadable, type Bits, type StoredLog } from '../log/store-image.ts'
import { logKeyOf } from '../log/log.ts'
import type { DeviceKeys } from '../transport.ts'
import { runsOf, type Findings, type Problem, type VerifyProgress } from './problem.ts'
import { checkTree, type TreeCheck, type TreeFault } from './tree-check.ts'

export interface LogCheckOptions {
  readonly log: StoredLog
  /** What the log is called: `alice:content`. */
  readonly where: string
  /** This device's keys where it is its own log. */
  readonly keys: DeviceKeys | null
  readonly findings: Findings
  readonly onProgress: (progress: VerifyProgress) => void
}

/** What of a log can be relied on. */
export interface CheckedLog {
  /** As signed. */
  readonly length: number
  /** Blocks that are here without a gap from the first. */
  readonly contiguous: number
  readonly bytes: number
  readonly damagedBlocks: ReadonlySet<number>
  /** False where anything about it is damaged. */
  readonly isSound: boolean
}

export async function* checkLog(
  options: LogCheckOptions
): AsyncGenerator<Problem, CheckedLog, void> {
  const { log, where, findings } = options
  let isSound = true
  const told = function* (problem: Problem): Generator<Problem, void, void> {
    isSound = false
    yield problem
  }
  const nothing = { length: 0, contiguous: 0, bytes: 0, damagedBlocks: new Set<number>() }
  const auth = await log.auth()
  if (auth instanceof Unreadable) {
    isSound = false
    yield* findings.unreadable(`the record of ${where}`, auth)
  } else for (const problem of checkAuth(options, auth)) yield* told(problem)
  const head = await log.head()
  if (head instanceof Unreadable) {
    yield* findings.unreadable(`the head of ${where}`, head)
    return { ...nothing, isSound: false }
  }
  if (head === null && (await log.beyond(0)) !== null) {
    yield findings.damage('head', where, 'it is missing, and there are blocks')
    return { ...nothing, isSound: false }
  }
  const bits = await log.bits()
  if (bits instanceof Unreadable) {
    isSound = false
    yield* findings.unreadable(`the bitfield of ${where}`, bits)
  }
  const {
    head: right,
    tree,
    fault
  } = await treeOf(options, head, bits instanceof Unreadable ? null : bits)
  if (fault !== null) yield* told(findings.damage('head', where, fault))
  for (const treeFault of tree.faults) {
    isSound = false
    if (treeFault.what === 'unreadable') {
      yield* findings.unreadable(`the tree of ${where}`, treeFault.reason)
    } else yield problemOf(treeFault, where, findings)
  }
  for (const { index, reason } of tree.unreadable) {
    isSound = false
    yield* findings.unreadable(`block ${index} of ${where}`, reason)
  }
  const damagedBlocks = damagedIn(tree)
  for (const run of runsOf(tree.missing)) {
    const message = `blocks ${run} are missing, and the log says it has them`
    yield* told(findings.damage('block-missing', where, message))
  }
  const beyond = await log.beyond(right.length)
  if (beyond !== null && fault === null) {
    const message = `there are records of ${beyond.blocks > 0 ? `block ${beyond.blocks - 1}` : `node ${beyond.nodes - 1}`}, beyond the log's ${right.length} blocks`
    yield* told(findings.damage('head', where, message))
  }
  let contiguous = 0
  if (bits instanceof Unreadable) contiguous = right.length
  else {
    for (const problem of checkBits(options, bits, right.length, tree)) yield* told(problem)
    const lacking = new Set(tree.absent)
    while (contiguous < right.length && !lacking.has(contiguous)) contiguous++
    const hints = await log.hints()
    if (hints instanceof Unreadable) yield* findings.unreadable(`the hints of ${where}`, hints)
    else if (hints !== null && isSound && hints.contiguousLength > contiguous) {
      const message = `the log says its first ${hints.contiguousLength} blocks are here, and ${contiguous} are`
      yield* told(findings.damage('bitfield', where, message))
    }
  }
  return { length: right.length, contiguous, bytes: tree.bytes, damagedBlocks, isSound }
}

function checkAuth(
  { log, where, keys, findings }: LogCheckOptions,
  auth: StoredAuth | null
): Problem[] {
  if (auth === null) return [findings.damage('log', where, 'its record is missing')]
  const key = logKeyOf(log.name)
  if (!equalBytes(auth.key, key) || !equalBytes(auth.discoveryKey, crypto.discoveryKey(key))) {
    return [findings.damage('log', where, 'its record is that of another log')]
  }
  if (auth.manifest === null || !equalBytes(Verifier.manifestHash(auth.manifest), key)) {
    return [
      findings.damage('log', where, 'its manifest is not the one that its key is the hash of')
    ]
  }
  const { keyPair } = auth
  const isRight =
    keys === null
      ? keyPair?.secretKey == null
      : keyPair !== null &&
        equalBytes(keyPair.publicKey, keys.publicKey) &&
        equalBytes(keyPair.secretKey ?? new Uint8Array(), keys.secretKey)
  if (isRight) return []
  const message =
    keys === null
      ? 'it is stored with a secret key, and it is not this device’s log'
      : 'the signing key stored with it is not this device’s'
  return [findings.damage('log', where, message)]
}

interface RightTree {
  readonly head: Pick<StoredHead, 'length'>
  readonly tree: CheckedTree
  /** What is wrong with the head. */
  readonly fault: string | null
}

type CheckedTree = TreeCheck & { readonly bytes: number; readonly absent: readonly number[] }

/** The tree at the length that is signed, which may not be the one that the head says. */
async function treeOf(
  options: LogCheckOptions,
  head: StoredHead | null,
  bits: Bits | null
): Promise<RightTree> {
  const at = (length: number): Promise<CheckedTree & { treeHash: Uint8Array | null }> =>
    treeAt(options, length, head, bits)
  if (head === null) return { head: { length: 0 }, tree: await at(0), fault: null }
  const tree = await at(head.length)
  if (tree.treeHash !== null) {
    const isRight = head.rootHash === null || equalBytes(head.rootHash, tree.treeHash)
    const fault = isRight ? null : 'the hash that it names is not that of the tree which is signed'
    return { head, tree, fault }
  }
  const beyond = await options.log.beyond(head.length)
  for (const length of [beyond?.blocks ?? 0, tree.absent[0] ?? 0]) {
    if (length === 0 || length === head.length) continue
    const other = await at(length)
    if (other.treeHash === null) continue
    const fault = `it says ${head.length} blocks, and its signature is for ${length}`
    return { head: { length }, tree: other, fault }
  }
  const faults = tree.faults.filter(({ what }) => what !== 'head')
  const fault = 'its signature does not belong to the tree of its length'
  return { head, tree: { ...tree, faults }, fault }
}

async function treeAt(
  { log, where, onProgress }: LogCheckOptions,
  length: number,
  head: StoredHead | null,
  bits: Bits | null
): Promise<CheckedTree & { treeHash: Uint8Array | null }> {
  const key = logKeyOf(log.name)
  const auth = await log.auth()
  const manifest = auth instanceof Unreadable || auth === null ? null : auth.manifest
  let treeHash: Uint8Array | null = length === 0 ? new Uint8Array() : null
  let bytes = 0
  const absent: number[] = []
  const tree = await checkTree({
    records: log,
    length,
    isSigned: (hash) => {
      if (head === null || manifest === null) return false
      const { fork } = head
      const signed = {
        length,
        fork,
        hash: () => hash,
        signable: (context: Uint8Array) => caps.treeSignable(context, hash, length, fork)
      }
      if (!isVerified(key, manifest, signed, head.signature)) return false
      treeHash = hash
      return true
    },
    mayLack: (index) => bits === null || !bits.has(index),
    onBlock: (index, block) => {
      if (block === null) absent.push(index)
      else if (block instanceof Uint8Array) bytes += block.length
    },
    onProgress: (done) => onProgress({ part: where, done, total: length })
  })
  return { ...tree, treeHash, bytes, absent }
}

function isVerified(
  key: Uint8Array,
  manifest: ConstructorParameters<typeof Verifier>[1],
  tree: Parameters<Verifier['verify']>[0],
  signature: Uint8Array
): boolean {
  try {
    return new Verifier(key, manifest).verify(tree, signature)
  } catch {
    return false // A signature that cannot even be decoded is none.
  }
}

function* checkBits(
  { where, findings }: LogCheckOptions,
  bits: Bits,
  length: number,
  { absent }: CheckedTree
): Generator<Problem, void, void> {
  const lacking = new Set(absent)
  const unmarked: number[] = []
  for (let index = 0; index < length; index++) {
    if (!bits.has(index) && !lacking.has(index)) unmarked.push(index)
  }
  for (const run of runsOf(unmarked)) {
    const message = `blocks ${run} are here, and the log says it lacks them`
    yield findings.damage('bitfield', where, message)
  }
  if (bits.last >= length) {
    const message = `the log says it has block ${bits.last}, and has ${length} blocks`
    yield findings.damage('bitfield', where, message)
  }
}

function damagedIn({ faults, missing, unreadable }: TreeCheck): Set<number> {
  const damaged = new Set([...missing, ...unreadable.map(({ index }) => index)])
  for (const fault of faults) {
    if (fault.what === 'block') damaged.add(fault.index)
    if (fault.what !== 'branch') continue
    for (let index = fault.from; index < fault.to; index++) damaged.add(index)
  }
  return damaged
}

function problemOf(
  fault: Exclude<TreeFault, { what: 'unreadable' }>,
  where: string,
  findings: Findings
): Problem {
  switch (fault.what) {
    case 'block':
      return findings.damage('block', where, `block ${fault.index}: ${fault.reason}`)
    case 'node':
      return findings.damage('tree-node', where, `node ${fault.index} of its tree ${fault.reason}`)
    case 'branch': {
      const { from, to, reason } = fault
      const blocks = to - from === 1 ? `block ${from}` : `blocks ${from}–${to - 1}`
      return findings.damage('block', where, `${blocks} cannot be checked: ${reason}`)
    }
    case 'head':
      return findings.damage('head', where, fault.reason)
  }
}
