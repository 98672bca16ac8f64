/**
 * A device that ends itself with SIGKILL at its n-th step: before or after each call to the disk, and where its store is
 * opened. It makes its folder, a space and a document, writes, and leaves the space, and tells its parent each that is
 * done. Forked by `creation.test.ts`, with the folder and the step as arguments; without a step it tells how many there are.
 */
import { basename } from 'node:path'
import { writeSync } from 'node:fs'
import { nodeDisk, type Disk, type DiskFile } from '../../adapters/node/disk.ts'
import { openFolder } from '../../adapters/node/folder.ts'
import { platform } from '../../adapters/node/platform.ts'
import { Skein, type Storage } from '../../lib/index.ts'

const [, , folder = '', fatalStep = ''] = process.argv
let steps = 0

/** To a pipe, at once: what was reported had been reported when the process ended. */
function tell(line: string): void {
  writeSync(1, line + '\n')
}

function step(): void {
  if (String(steps++) === fatalStep) process.kill(process.pid, 'SIGKILL')
}

async function around<T>(call: () => Promise<T>): Promise<T> {
  step()
  const result = await call()
  step()
  return result
}

function fatalFile(file: DiskFile): DiskFile {
  return {
    size: () => file.size(),
    read: () => file.read(),
    write: (bytes, at) => around(() => file.write(bytes, at)),
    truncate: (length) => around(() => file.truncate(length)),
    sync: () => around(() => file.sync()),
    close: () => file.close()
  }
}

const fatalDisk: Disk = {
  ...nodeDisk,
  async open(path) {
    const file = await nodeDisk.open(path)
    return file === null ? null : fatalFile(file)
  },
  async make(path) {
    // Its sixteen writes are all alike.
    if (basename(path) === 'reserve') return around(() => nodeDisk.make(path))
    return fatalFile(await around(() => nodeDisk.make(path)))
  },
  rename: (from, to) => around(() => nodeDisk.rename(from, to)),
  remove: (path) => around(() => nodeDisk.remove(path)),
  sync: (path) => around(() => nodeDisk.sync(path))
}

/** Steps where the store is taken, and some turns of the event loop later, while it is being opened. */
function fatalStorage(storage: Storage): Storage {
  return new Proxy(storage, {
    get(target, name) {
      if (name === 'corestore') {
        step()
        const { corestore } = target
        step()
        for (const ms of [0, 1, 2, 4, 8]) setTimeout(step, ms)
        return corestore
      }
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    }
  })
}

const skein = new Skein({
  storage: folder,
  name: 'alice',
  platform: {
    ...platform,
    openStorage: async (location) => {
      const randomBytes = (length: number): Uint8Array => platform.randomBytes(length)
      return fatalStorage(await openFolder(location, { randomBytes, disk: fatalDisk }))
    }
  }
})
await skein.ready()
tell(`open ${skein.id}`)
const space = await skein.createSpace({ name: 'Notes' })
tell(`created ${space.id}`)
const note = await space.open('ideas')
note.doc.getText().insert(0, 'kept')
await note.saved()
tell('saved')
await space.leave()
tell('left')
await skein.close()
tell(`steps ${steps}`)
