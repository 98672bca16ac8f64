/**
 * Blocks sent before they are asked for: one edit then takes one one-way delay instead of three (measured over a link of
 * 50 ms: 53 ms against 155). This reaches into hypercore's replicator, which is why it stands alone, with a test.
 *
 * A receiver that allows pushes does not fetch a tail it missed while it was away. So a log is opened without, and
 * allows them once it has caught up with every connected peer; a new connection turns them off again until then.
 *
 * A push that begins at a log's first block looks to hypercore like the proof of a fork: taken for one by a peer that has
 * the block already, it would freeze an honest log for good. So the first block of a log is fetched, not pushed, and what
 * carries more than such a proof is not taken for one, whoever sends it.
 */
import type Hypercore from 'hypercore'
import type { Peer } from 'hypercore'
import { MerkleTree } from 'hypercore/lib/merkle-tree.js'
import crypto from 'hypercore-crypto'
import { equalBytes } from '../bytes.ts'

const misfitsForgiven = 100
const guessesAllowed = 4

/** By peer, what it is taken to allow before it says so; see `guessed`. */
export type Guesses = WeakMap<Peer, { readonly allowing: Peer; left: number }>

/** Sends the blocks in [from, to) to every peer that takes pushes, or with `guesses` may soon, and lacks them. */
export function pushBlocks(
  core: Hypercore,
  from: number,
  to: number,
  guesses: Guesses | null = null
): void {
  for (let index = from; index < to; index++) {
    for (const peer of core.core.replicator.peers) {
      if (Math.max(peer.remoteLength, peer.pushedLength) === 0) continue
      // Hypercore looks into the peer's bitfield alone, which says nothing of what it has said to have from the start.
      if (peer.remoteContiguousLength > index) continue
      const pushed = guesses === null || peer.remoteAllowPush ? peer : guessed(peer, from, guesses)
      // A peer that goes away meanwhile fetches the block when it comes back.
      pushed?.push(index).catch(() => {})
    }
  }
}

/**
 * A peer allows pushes as soon as it has all there is, and its word of that takes one way: an edit meanwhile would take
 * three. So who has been sent all there was before is taken to allow them. Where it does not, it drops what comes and
 * fetches it: a few times, then nothing more is guessed. The guess is kept apart from what hypercore knows of the peer,
 * by which it answers.
 */
function guessed(peer: Peer, length: number, guesses: Guesses): Peer | null {
  let guess = guesses.get(peer)
  if (guess === undefined) {
    const allowing = Object.create(peer, { remoteAllowPush: { value: true } }) as Peer
    guesses.set(peer, (guess = { allowing, left: guessesAllowed }))
  }
  const { allowing } = guess
  if (Math.max(peer.remoteLength, allowing.pushedLength) < length || guess.left === 0) return null
  guess.left--
  return allowing
}

export function allowPush(core: Hypercore, allow: boolean): void {
  core.core.replicator.setAllowPush(allow)
  if (!allow) fetchAgain(core)
}

/**
 * What is announced is asked for at once, so what is pushed as well comes twice. While pushes come, nothing is asked for:
 * until one does not fit, or a peer goes. Whatever else keeps one from coming, a peer's word of what it holds shows that
 * soon (`SpaceSync`), and `allowPush(core, false)` ends it. Call it once a core.
 */
export function awaitPushes(core: Hypercore): void {
  const { replicator } = core.core
  core.on('download', (_index, _bytes, _peer, request) => {
    if (request === null && replicator.allowPush) replicator.setPushOnly(true)
  })
  core.on('verification-error', () => fetchAgain(core))
  core.on('peer-remove', () => fetchAgain(core))
}

function fetchAgain({ core }: Hypercore): void {
  if (!core.replicator.pushOnly || core._repairMode) return
  core.replicator.setPushOnly(false)
  core.replicator.updateAll()
}

/**
 * Keeps pushes from being taken for the proof of a fork, and a real one from freezing the log for good, as hypercore does
 * with it: `onConflict` is told, and what to do is the space's (see `trust/README.md`). Call it once a core.
 */
export function guardConflicts(core: Hypercore, onConflict: (length: number) => void): void {
  const inner = core.core
  inner.checkConflict = async (proof) => {
    const { block, hash, seek, upgrade, fork } = proof
    const isBare = block === null && hash === null && seek === null
    if (!isBare || upgrade === null || inner.header.manifest === null) return false
    if (fork !== core.fork || core.length < upgrade.length) return false
    const batch = MerkleTree.verifyFullyRemote(inner.state, proof)
    try {
      inner._verifyBatchUpgrade(batch, null)
    } catch {
      return true // Not signed: nothing is to be made of it.
    }
    if (equalBytes(await core.treeHash(upgrade.length), crypto.tree(batch.roots))) return false
    onConflict(upgrade.length)
    return true
  }
}

/**
 * Pushes are sent on a guess of what is here, and change what is here while answers are on their way: now and then one
 * does not fit. Hypercore then stops fetching from that peer for good, or, where pushes are allowed, goes on without asking
 * anyone for what did not fit. So a peer is forgiven, and asked again, as long as what it sends fits before long. Call it
 * once a core.
 */
export function forgiveMisfits(core: Hypercore): void {
  const misfitsByPeer = new WeakMap<object, number>()
  core.on('download', (_index, _bytes, peer) => misfitsByPeer.delete(peer))
  core.on('verification-error', (error, _request, _data, peer) => {
    if (error.code !== 'INVALID_OPERATION') return
    const misfits = (misfitsByPeer.get(peer) ?? 0) + 1
    misfitsByPeer.set(peer, misfits)
    if (misfits > misfitsForgiven) return
    peer.paused = false
    // What is asked for again now, hypercore takes back together with the request that has gone wrong.
    void Promise.resolve().then(() => core.core.replicator.updateAll())
  })
}

/**
 * A request for what is new tells how much the peer has. Where it allows pushes, hypercore answers for what it has been
 * sent so far instead, on this connection: of one that has just come, nothing, and such an answer never fits. Call it once
 * a core.
 */
export function heedRequests(core: Hypercore): void {
  core.on('peer-add', (peer) => {
    const handle = peer._handleRequest.bind(peer)
    peer._handleRequest = (request) => {
      const start = Math.min(request.upgrade?.start ?? 0, core.length)
      if (start > peer.pushedLength) peer.pushedLength = start
      return handle(request)
    }
  })
}

/**
 * When a block comes, hypercore looks in the background whether those that are waited for are here, and fails, with nobody
 * to hear of it, where the store is closed just then. Whoever waits is told by the closing. Call it once a core.
 */
export function lookQuietly({ core: { replicator } }: Hypercore): void {
  const look = replicator._resolveBlocksLocally.bind(replicator)
  replicator._resolveBlocksLocally = () => look().catch(() => {})
}
