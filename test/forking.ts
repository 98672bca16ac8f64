/** What tests fork logs with: machines that are put back without any sign of it. */
import { cpSync, renameSync } from 'node:fs'
import { platform as nodePlatform } from '../adapters/node/platform.ts'
import type { Document, Platform } from '../lib/index.ts'
import type { Device } from './devices.ts'

/** Of a machine that is put back below its file system: nothing tells that its folder is a copy. */
export const unaware: Partial<Platform> = {
  openStorage: async (folder) => {
    const storage = await nodePlatform.openStorage(folder)
    return new Proxy(storage, {
      get: (target, name) => {
        if (name === 'copyIds') return []
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
    })
  }
}

let copies = 0

/** What a device's folder is now, to be put back later. The device is closed. */
export function snapshot({ folder }: Device): () => void {
  const taken = `${folder}.snapshot-${copies++}`
  cpSync(folder, taken, { recursive: true, preserveTimestamps: true })
  return () => {
    renameSync(folder, `${folder}.gone-${copies++}`)
    cpSync(taken, folder, { recursive: true, preserveTimestamps: true })
  }
}

/** Calls back at each change of a document, also after it was reset. */
export function followed(document: Document, listener: () => void): () => void {
  let { doc } = document
  doc.on('update', listener)
  const stop = document.on('reset', () => {
    doc.off('update', listener)
    doc = document.doc
    doc.on('update', listener)
    listener()
  })
  return () => {
    stop()
    doc.off('update', listener)
  }
}
