/**
 * Hypercores tell each other how long they are, and ask for more only once the other has heard: lib/log/lengths.ts sees to
 * it that it does. Here a slow disk makes every order happen.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import Hypercore from 'hypercore'
import { MerkleTree } from 'hypercore/lib/merkle-tree.js'
import { suite } from 'uvu'
import { tellLengths } from '../../lib/log/lengths.ts'
import { eventually } from '../events.ts'

const test = suite('lengths')

/** What the library itself does not use of a hypercore. */
interface Raw extends Hypercore {
  replicate(isInitiator: boolean): Duplex
}
const Raw = Hypercore as unknown as new (folder: string, key?: Uint8Array) => Raw

/** Hypercores of one log, and what one of them reads of its tree before it tells of its length held up at will. */
class Cores implements AsyncDisposable {
  readonly #folder: string
  readonly #cores: Raw[] = []
  readonly #upgradeable = MerkleTree.upgradeable
  #held: Raw | null = null
  #release = (): void => {}
  /** Reads that are held up now. */
  waiting = 0

  private constructor(folder: string) {
    this.#folder = folder
    let released = Promise.resolve()
    MerkleTree.upgradeable = async (session, length) => {
      if (session.core === this.#held?.core) {
        if (this.waiting === 0) released = new Promise((resolve) => (this.#release = resolve))
        this.waiting++
        await released
      }
      return this.#upgradeable.call(MerkleTree, session, length)
    }
  }

  static async open(): Promise<Cores> {
    return new Cores(await mkdtemp(join(tmpdir(), 'skein-lengths-')))
  }

  async add(name: string, author?: Raw): Promise<Raw> {
    const core = new Raw(join(this.#folder, name), author?.key)
    await core.ready()
    tellLengths(core)
    if (author !== undefined) core.download({ start: 0, end: -1 })
    this.#cores.push(core)
    return core
  }

  hold(core: Raw): void {
    this.#held = core
  }

  release(): void {
    this.#held = null
    this.waiting = 0
    this.#release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    MerkleTree.upgradeable = this.#upgradeable
    this.release()
    for (const core of this.#cores) await core.close()
    await rm(this.#folder, { recursive: true })
  }
}

/** Returns what breaks the connection. */
function connect(a: Raw, b: Raw): () => void {
  const [one, other] = [a.replicate(true), b.replicate(false)]
  one.pipe(other).pipe(one)
  for (const stream of [one, other]) stream.on('error', () => {})
  return () => {
    one.destroy()
    other.destroy()
  }
}

const block = (): Uint8Array => new Uint8Array(1)

test('who has a block from one peer when another tells of it fetches the next one from that other', async () => {
  await using cores = await Cores.open()
  const alice = await cores.add('alice')
  const bob = await cores.add('bob', alice)
  const carol = await cores.add('carol', alice)
  const dave = await cores.add('dave', alice)
  await alice.append(block())
  connect(alice, carol)
  const cut = connect(carol, dave)
  connect(bob, dave)
  await eventually(() => bob.contiguousLength === 1)
  await eventually(() => dave.peers.every((peer) => peer.remoteLength === 1))
  // Before dave comes to telling bob of the second block, bob tells him.
  cores.hold(dave)
  await alice.append(block())
  await eventually(() => dave.contiguousLength === 2 && cores.waiting > 0)
  connect(alice, bob)
  await eventually(() => dave.peers.every((peer) => peer.remoteLength === 2))
  cores.release()
  cut()
  await eventually(() => dave.peers.length === 1)
  await alice.append(block())
  await eventually(() => dave.contiguousLength === 3)
})

test('who passed a peer by, lacking blocks at first, tells that peer once it has them', async () => {
  await using cores = await Cores.open()
  const alice = await cores.add('alice')
  const bob = await cores.add('bob', alice)
  const carol = await cores.add('carol', alice)
  for (let i = 0; i < 4; i++) await alice.append(block())
  const cut = connect(alice, carol)
  connect(carol, bob)
  await eventually(() => bob.contiguousLength === 4)
  // Bob asks carol for nothing.
  const carols = bob.peers[0]!
  Object.assign(carols, { _requestRange: () => false, _requestUpgrade: () => false })
  await alice.append(block())
  await eventually(() => carols.remoteLength === 5)
  cut()
  for (let i = 0; i < 3; i++) await alice.append(block())
  connect(alice, bob)
  await eventually(() => bob.contiguousLength === 8)
  await eventually(() => carol.contiguousLength === 8)
})

test.run()
