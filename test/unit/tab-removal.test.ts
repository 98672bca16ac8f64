/**
 * Entries leave a document while it is written in tabs: what one types before it has heard of it never hangs on what is
 * gone, is not lost where it does not, and is in the log once.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { memory, MemoryNetwork } from '../../adapters/memory.ts'
import type { Document, DocumentEvents, Space } from '../../lib/index.ts'
import { TabSkein } from '../../lib/tabs/tab-skein.ts'
import type { TabSpace } from '../../lib/tabs/tab-space.ts'
import { deadline, eventually, once } from '../events.ts'
import { device, rejects, until, waitMs, whenText, type Device } from '../devices.ts'
import { Origin, type ProcessTab } from '../tabs.ts'

const test = suite('entries leave a document in tabs')

interface OpenTab {
  readonly tab: ProcessTab
  readonly skein: TabSkein
  readonly space: TabSpace
  readonly note: Document
}

/** Alice and bob, and two tabs of carol's: all have 'alice late ', of which alice does not know bob's part. */
class Scene implements AsyncDisposable {
  readonly network = new MemoryNetwork()
  readonly #origin = new Origin()
  readonly #closing: (() => Promise<unknown>)[] = []
  alice!: Device
  bob!: Device
  space!: Space
  note!: Document
  leader!: OpenTab
  other!: OpenTab

  static async make(): Promise<Scene> {
    const scene = new Scene()
    await scene.#make()
    return scene
  }

  async #make(): Promise<void> {
    const [alice, bob] = [await device('alice', this.network), await device('bob', this.network)]
    this.#closing.push(
      () => alice[Symbol.asyncDispose](),
      () => bob[Symbol.asyncDispose]()
    )
    this.alice = alice
    this.bob = bob
    this.space = await alice.skein.createSpace({ name: 'Notes' })
    await bob.skein.join(await this.space.invite())
    this.note = await this.space.open('ideas')
    await write(this.note, 'alice ')
    const folder = await mkdtemp(join(tmpdir(), 'skein-carol-'))
    this.leader = await this.#open(folder, await this.space.invite())
    this.other = await this.#open(folder)
    this.#closing.unshift(async () => {
      for (const { skein } of [this.other, this.leader]) await skein.close()
      await rm(folder, { recursive: true })
    })
    const atBob = await bob.space.open('ideas')
    const { note } = this.other
    await Promise.all([atBob, note].map((one) => whenText(one.doc, 'alice ')))
    this.part([alice.key], [bob.key, this.carol])
    await write(atBob, 'late ')
    await whenText(note.doc, 'alice late ')
  }

  async #open(storage: string, invite?: string): Promise<OpenTab> {
    const { platform, tab } = this.#origin.platform()
    const transports = [memory(this.network)]
    const skein = new TabSkein({ storage, name: 'carol', transports, platform })
    await skein.ready()
    const space = invite === undefined ? skein.spaces()[0]! : await skein.join(invite)
    return { tab, skein, space, note: await space.open('ideas') }
  }

  get carol(): Uint8Array {
    return Buffer.from(this.leader.skein.id, 'hex')
  }

  part(...groups: Uint8Array[][]): void {
    this.network.partition(groups)
  }

  /** Bob's part leaves where the device is, and the other tab has said nothing since `typed`. */
  async removeBob(typed: () => void): Promise<void> {
    this.other.tab.hold()
    typed()
    await eventually(() => this.other.tab.heldCount > 0)
    await this.space.remove(this.bob.id)
    this.network.heal()
    await whenReads(this.leader.note, 'alice ')
    await eventually(() => this.other.tab.heldCount > 1)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closing) await close()
  }
}

function bodyOf(document: Document): string {
  return document.doc.getText('body').toString()
}

async function write(document: Document, text: string): Promise<void> {
  const body = document.doc.getText('body')
  body.insert(body.length, text)
  await deadline(document.saved(), waitMs, `${JSON.stringify(text)} is saved`)
}

async function whenReads(document: Document, text: string): Promise<void> {
  await eventually(() => bodyOf(document) === text, { deadlineMs: waitMs }).catch(() => {
    assert.is(bodyOf(document), text)
  })
}

test('what hangs on them is told of, and what is typed after it arrives', async () => {
  await using scene = await Scene.make()
  const { note: atAlice, leader, other } = scene
  const refused = once<DocumentEvents['error']>(
    (listener) => other.note.on('error', listener),
    waitMs,
    'what was typed in vain is told of'
  )
  let saved = Promise.resolve()
  await scene.removeBob(() => {
    other.note.doc.getText('body').insert('alice late '.length, 'typed ')
    saved = rejects(other.note.saved(), 'EDIT_INVALID')
    saved.catch(() => {}) // Told below.
  })
  other.tab.release()
  assert.is((await refused).error.code, 'EDIT_INVALID')
  await deadline(saved, waitMs, 'it is not saved')
  await whenReads(other.note, 'alice ')
  await write(other.note, 'other ')
  await whenReads(atAlice, 'alice other ')
  await write(leader.note, 'leader ')
  await whenReads(atAlice, 'alice other leader ')
  assert.is(bodyOf(other.note), 'alice other leader ')
})

test('what does not hang on them arrives, once, in its place', async () => {
  await using scene = await Scene.make()
  const { note: atAlice, leader, other } = scene
  let saved = Promise.resolve()
  await scene.removeBob(() => {
    other.note.doc.getText('body').insert(0, 'first ')
    saved = other.note.saved()
  })
  other.tab.release()
  await deadline(saved, waitMs, 'it is saved')
  await write(other.note, 'other ')
  for (const note of [atAlice, leader.note, other.note]) await whenReads(note, 'first alice other ')
})

test('where the leader goes meanwhile, the next one is told the same', async () => {
  await using scene = await Scene.make()
  const { note: atAlice, leader, other } = scene
  let saved = Promise.resolve()
  await scene.removeBob(() => {
    other.note.doc.getText('body').insert(0, 'first ')
    saved = other.note.saved()
  })
  await leader.skein.close()
  other.tab.release()
  await deadline(saved, waitMs, 'it is saved')
  await write(other.note, 'other ')
  for (const note of [atAlice, other.note]) await whenReads(note, 'first alice other ')
})

test('where the leader goes before it has told of them, they leave the other tabs all the same', async () => {
  await using scene = await Scene.make()
  const { note: atAlice, leader, other } = scene
  leader.tab.hold()
  await scene.space.remove(scene.bob.id)
  scene.network.heal()
  await whenReads(leader.note, 'alice ')
  assert.is(bodyOf(other.note), 'alice late ')
  await leader.skein.close()
  await whenReads(other.note, 'alice ')
  await write(other.note, 'other ')
  await whenReads(atAlice, 'alice other ')
})

test('whose own entries leave, since it was removed, hangs nowhere, and writes on once it is let in again', async () => {
  await using scene = await Scene.make()
  const { note: atAlice, space, leader, other, alice } = scene
  await write(other.note, 'carol ')
  other.tab.hold()
  other.note.doc.getText('body').insert(0, 'typed ')
  const saved = other.note.saved().catch((error: { code: string }) => error.code)
  await eventually(() => other.tab.heldCount > 0)
  const carol = leader.skein.id
  await space.remove(carol)
  await space.remove(scene.bob.id)
  scene.network.heal()
  await whenReads(leader.note, 'alice ')
  other.tab.release()
  assert.is(await deadline(saved, waitMs, 'an answer'), 'NOT_ALLOWED')
  await whenReads(other.note, 'alice ')
  await space.grant(carol, 'writer')
  await until(
    (listener) => other.space.on('members', listener),
    () => other.space.role === 'writer' && !other.note.readOnly
  )
  await write(other.note, 'again ')
  await eventually(() => bodyOf(atAlice).includes('again '), { deadlineMs: waitMs })
  await whenReads(other.note, bodyOf(atAlice))
  assert.is(alice.space.waiting, 0)
})

test.run()
