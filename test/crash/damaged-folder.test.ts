/**
 * A folder of which something is gone or damaged never passes for a new device, or for one whose spaces are new: opening
 * it fails with `STORAGE_DAMAGED` and says what to do, nothing in it is overwritten, and what is put back works.
 */
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import Corestore from 'corestore'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { platform } from '../../adapters/node/platform.ts'
import { Skein, SkeinError, type SkeinOptions } from '../../lib/index.ts'
import { random, scratch, seedOf } from './lab.ts'

const test = suite('damaged folders')

test('without its secrets a folder is damaged, and with them it is what it was', async () => {
  using folder = await written()
  const hidden = join(folder.path, '..', 'hidden')
  renameSync(join(folder.path, 'secrets'), hidden)
  for (let attempt = 0; attempt < 2; attempt++) {
    const { message } = await damaged(folder.path)
    assert.match(message, /keys are gone/)
    assert.match(message, /from a backup.*join its spaces again/)
    assert.ok(message.includes(folder.path))
  }
  // A draft that a crash left behind is no secrets file.
  copyFileSync(hidden, join(folder.path, 'secrets.tmp'))
  await damaged(folder.path)
  renameSync(hidden, join(folder.path, 'secrets'))
  await assertWhole(folder)
})

test('an outbox alone is damage too', async () => {
  using folder = await written()
  rmSync(join(folder.path, 'secrets'))
  rmSync(join(folder.path, 'store'), { recursive: true })
  assert.match((await damaged(folder.path)).message, /keys are gone/)
  rmSync(join(folder.path, 'outbox'), { recursive: true })
  await using skein = new Skein({ storage: folder.path, name: 'alice' })
  await skein.ready() // Nothing of the device was left.
  assert.is.not(skein.id, folder.id)
})

test('secrets that were cut short or changed are damage, at whichever byte', async () => {
  const choose = random(seedOf('crash/damaged'))
  using folder = await written()
  const path = join(folder.path, 'secrets')
  const whole = new Uint8Array(readFileSync(path))
  const lengths = [0, 1, 33, 65, whole.length - 33, whole.length - 1]
  const images = lengths.map((length) => whole.slice(0, length))
  // A seed, the name, the number of spaces, their keys, the checksum itself.
  const places = [0, 1, 33, 66, 72, 79, 80, 100, whole.length - 1]
  for (let i = 0; i < 12; i++) places.push(Math.floor(choose() * whole.length))
  for (const place of places) {
    const image = new Uint8Array(whole)
    image[place]! ^= 1 << Math.floor(choose() * 8)
    images.push(image)
  }
  images.push(new Uint8Array(whole.length), new Uint8Array([...whole, 0]))
  for (const image of images) {
    writeFileSync(path, image)
    assert.match((await damaged(folder.path)).message, /keys.*from a backup/)
    assert.equal(new Uint8Array(readFileSync(path)), image)
  }
  writeFileSync(path, whole)
  await assertWhole(folder)
})

test('the secrets of another device do not open a store', async () => {
  using folder = await written()
  using other = await written()
  copyFileSync(join(other.path, 'secrets'), join(folder.path, 'secrets'))
  assert.match((await damaged(folder.path)).message, /another device/)
})

test('without its store a device does not found its spaces anew', async () => {
  using folder = await written()
  const hidden = join(folder.path, '..', 'hidden')
  renameSync(join(folder.path, 'store'), hidden)
  rmSync(join(folder.path, 'outbox'), { recursive: true })
  for (let attempt = 0; attempt < 2; attempt++) {
    assert.match((await damaged(folder.path)).message, /store is gone.*from a backup/)
  }
  rmSync(join(folder.path, 'store'), { recursive: true })
  renameSync(hidden, join(folder.path, 'store'))
  await assertWhole(folder)
})

test('a database of which a file is gone is damage, and with it is what it was', async () => {
  using folder = await written()
  const database = join(folder.path, 'store', 'db')
  const manifest = join(
    database,
    readdirSync(database).find((name) => name.startsWith('MANIFEST'))!
  )
  const bytes = readFileSync(manifest)
  rmSync(manifest)
  for (let attempt = 0; attempt < 2; attempt++) await damaged(folder.path)
  writeFileSync(manifest, bytes)
  await assertWhole(folder)
})

test('a lost store comes back as far as the outbox reaches', async () => {
  using folder = await written()
  rmSync(join(folder.path, 'store'), { recursive: true })
  await assertWhole(folder)
})

test('a store that was never finished is made anew', async () => {
  for (const begun of ['', 'device/plat']) {
    using folder = scratch('damaged')
    // What is left where corestore is killed while it makes this file, before there is a database.
    mkdirSync(join(folder.path, 'store', 'db'), { recursive: true })
    writeFileSync(join(folder.path, 'store', 'CORESTORE'), begun)
    writeFileSync(join(folder.path, 'store', 'db', 'LOG'), 'RocksDB version')
    await using skein = new Skein({ storage: folder.path, name: 'alice' })
    await skein.createSpace({ name: 'Notes' })
  }
})

test('a store that was slow in the making opens again', async () => {
  using folder = scratch('damaged')
  const openOnce = async (isSlow: boolean): Promise<void> => {
    const storage = await platform.openStorage(folder.path)
    const corestore = new Corestore(storage.corestore)
    try {
      await corestore.ready()
      // Corestore refuses this file where it was written 5 s after the time that stands in it.
      const later = Date.now() / 1_000 + 60
      if (isSlow) utimesSync(join(folder.path, 'store', 'CORESTORE'), later, later)
      await storage.sync()
    } finally {
      await corestore.close()
      await storage.close()
    }
  }
  await openOnce(true)
  await openOnce(false)
})

test('a folder whose device never had a space may lose its store', async () => {
  using folder = scratch('damaged')
  const open = async (): Promise<string> => {
    await using skein = new Skein({ storage: folder.path, name: 'alice' })
    await skein.ready()
    return skein.id
  }
  const id = await open()
  rmSync(join(folder.path, 'store'), { recursive: true })
  assert.is(await open(), id)
})

test.run()

interface Written {
  readonly path: string
  readonly id: string
  readonly space: string
  [Symbol.dispose](): void
}

/** A device's folder with a space and a document, closed. */
async function written(): Promise<Written> {
  const outer = scratch('damaged')
  const path = join(outer.path, 'alice')
  await using skein = new Skein({ storage: path, name: 'alice' })
  const space = await skein.createSpace({ name: 'Notes' })
  const note = await space.open('ideas')
  note.doc.getText().insert(0, 'kept')
  await note.saved()
  const { id } = skein
  return { path, id, space: space.id, [Symbol.dispose]: () => outer[Symbol.dispose]() }
}

async function damaged(storage: string): Promise<SkeinError> {
  const options: SkeinOptions = { storage, name: 'alice' }
  await using skein = new Skein(options)
  const error = await skein.ready().then(
    () => assert.unreachable('It opened'),
    (reason: unknown) => reason
  )
  assert.instance(error, SkeinError)
  assert.is((error as SkeinError).code, 'STORAGE_DAMAGED', (error as SkeinError).message)
  return error as SkeinError
}

async function assertWhole({ path, id, space }: Written): Promise<void> {
  await using skein = new Skein({ storage: path, name: 'alice' })
  await skein.ready()
  assert.is(skein.id, id)
  const note = await skein.space(space).open('ideas')
  assert.is(note.doc.getText().toJSON(), 'kept')
  note.doc.getText().insert(0, '')
  assert.not(note.readOnly)
}
