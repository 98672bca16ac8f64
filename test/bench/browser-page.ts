/** The page that `browser.ts` measures in. Everything here runs in Chromium. */
import Corestore from 'corestore'
import Hypercore from 'hypercore'
import { Skein } from 'skein'
import { IndexeddbPersistence, storeState } from 'y-indexeddb'
import * as Y from 'yjs'
import { platform } from '../../adapters/browser/platform.ts'
import type { Patch } from '../../examples/demo/trace.ts'

/** The rows that one append of hypercore comes to: head, tree nodes, a page of the bitfield, the block. */
const rowBytes = [34, 36, 112, 4_096, 2, 200]

async function open(): Promise<{ skein: Skein; note: import('skein').Document }> {
  const skein = new Skein({ storage: 'bench' })
  await skein.ready()
  const space = skein.spaces()[0] ?? (await skein.createSpace({ name: 'Bench' }))
  return { skein, note: await space.open('paper') }
}

/** Resolves when all its updates are written: a transaction waits for those before it on the same store only. */
async function written({ db }: IndexeddbPersistence): Promise<void> {
  const request = db!.transaction('updates', 'readwrite').objectStore('updates').count()
  await new Promise<void>((resolve, reject) => {
    request.transaction!.oncomplete = () => resolve()
    request.transaction!.onabort = () => reject(request.transaction!.error!)
  })
}

export const benchPage = {
  /** Durable appends and plain transactions of as many rows, taking turns; milliseconds each. */
  async append(count: number): Promise<Record<'plain' | 'hypercore' | 'skein', number[]>> {
    const plain = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open('bench-plain', 1)
      request.onupgradeneeded = () => void request.result.createObjectStore('rows')
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error ?? new Error('It could not be opened'))
    })
    const storage = await platform.openStorage('bench-log')
    const store = new Corestore(storage.corestore)
    await store.ready()
    const log = (store as unknown as { get(options: { name: string }): Hypercore }).get({
      name: 'log'
    })
    await log.ready()
    const { skein, note } = await open()
    const text = note.doc.getText('append')
    const times = { plain: [] as number[], hypercore: [] as number[], skein: [] as number[] }
    const measure = async (into: number[], task: () => Promise<unknown>): Promise<void> => {
      const begun = performance.now()
      await task()
      into.push(performance.now() - begun)
    }
    for (let i = 0; i < count; i++) {
      await measure(times.plain, async () => {
        const transaction = plain.transaction('rows', 'readwrite', { durability: 'strict' })
        for (const [row, length] of rowBytes.entries()) {
          // Of the same kind: some are written anew each time.
          const key = new Uint8Array(length === 4_096 ? [row] : [i >> 8, i & 255, row])
          transaction.objectStore('rows').put(new Uint8Array(length), key)
        }
        const completed = new Promise((resolve) => (transaction.oncomplete = resolve))
        transaction.commit()
        await completed
      })
      await measure(times.hypercore, () => log.append(new Uint8Array(200)))
      text.insert(text.length, 'x')
      await measure(times.skein, () => note.saved())
    }
    await skein.close()
    await store.close()
    plain.close()
    return times
  },

  /** Writes edits, so many a transaction, into Skein or into y-indexeddb; returns the length of the text. */
  async fill(edits: readonly Patch[], group: number, into: 'skein' | 'other'): Promise<number> {
    const write = async (doc: Y.Doc): Promise<number> => {
      const text = doc.getText('body')
      for (let at = 0; at < edits.length; at += group) {
        doc.transact(() => {
          for (const [position, deleteCount, insert] of edits.slice(at, at + group)) {
            if (deleteCount > 0) text.delete(position, deleteCount)
            if (insert !== '') text.insert(position, insert)
          }
        })
        if ((at / group) % 64 === 0) await new Promise((resolve) => setTimeout(resolve))
      }
      return text.length
    }
    if (into === 'skein') {
      const { skein, note } = await open()
      const length = await write(note.doc)
      await note.saved()
      await skein.close()
      return length
    }
    const doc = new Y.Doc()
    const persistence = new IndexeddbPersistence('bench-y', doc)
    await persistence.whenSynced
    const length = await write(doc)
    await written(persistence)
    // As it does by itself a second later.
    await storeState(persistence, true)
    await persistence.destroy()
    return length
  },

  async openSkein(): Promise<{ ms: number; length: number; parts: number[] }> {
    const begun = performance.now()
    const skein = new Skein({ storage: 'bench' })
    await skein.ready()
    const ready = performance.now() - begun
    const note = await skein.spaces()[0]!.open('paper')
    const { length } = note.doc.getText('body')
    const ms = performance.now() - begun
    await skein.close()
    return { ms, length, parts: [ready] }
  },

  async openOther(): Promise<{ ms: number; length: number }> {
    const begun = performance.now()
    const doc = new Y.Doc()
    const persistence = new IndexeddbPersistence('bench-y', doc)
    await persistence.whenSynced
    const { length } = doc.getText('body')
    const ms = performance.now() - begun
    await persistence.destroy()
    return { ms, length }
  },

  /** Types and deletes, so that the document stays as large as it is; the device stays open for the next call. */
  async edit(count: number): Promise<void> {
    const held = globalThis as { benchOpen?: Awaited<ReturnType<typeof open>> }
    held.benchOpen ??= await open()
    const { note } = held.benchOpen
    const text = note.doc.getText('long')
    for (let i = 0; i < count; i++) {
      text.insert(text.length, String(i % 10))
      if (text.length > 2_000) text.delete(0, 1)
      if (i % 10 === 9) await note.saved()
    }
    await note.saved()
  },

  async usedBytes(): Promise<number> {
    return (await navigator.storage.estimate()).usage ?? 0
  }
}

Object.assign(globalThis, { benchPage })
