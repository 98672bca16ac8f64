/**
 * A disk in memory that forgets like a real one: when the power goes, of what was not synced any subset remains, writes
 * perhaps in part. Calls can be made to fail, and a sync that fails loses what it was to write without a second word,
 * as Linux does.
 */
import { dirname } from 'node:path'
import { failure, type Disk, type DiskFile } from '../../adapters/node/disk.ts'

type Change = { at: number; bytes: Uint8Array } | { length: number }
type Naming = { folder: string; set?: [string, Inode]; remove?: string }

interface Inode {
  /** What a program sees, and what would be there after a power loss at the least. */
  seen: Uint8Array
  durable: Uint8Array
  pending: Change[]
}

/** What the n-th call from now does instead: fail with a system's error code, or be the last before the power goes. */
export type Fault = { afterCalls: number; errno: string }

export class LossyDisk implements Disk {
  fault: Fault | null = null
  calls = 0
  readonly #random: () => number
  #names = new Map<string, Inode>()
  #durableNames = new Map<string, Inode>()
  #pendingNames: Naming[] = []
  #isOff = false

  constructor(random: () => number) {
    this.#random = random
  }

  get isOff(): boolean {
    return this.#isOff
  }

  /** The names of all files there are, and their bytes, for a test to look at or to change. */
  get bytesByPath(): Map<string, Uint8Array> {
    return new Map([...this.#names].map(([path, inode]) => [path, inode.seen]))
  }

  /** The power goes and comes back. */
  restart(): void {
    for (const naming of this.#pendingNames) {
      if (this.#random() < 0.5) rename(this.#durableNames, naming)
    }
    this.#pendingNames = []
    this.#names = new Map(this.#durableNames)
    for (const inode of this.#names.values()) {
      this.#loseSome(inode)
      inode.seen = inode.durable
    }
    this.#isOff = false
    this.fault = null
  }

  async open(path: string): Promise<DiskFile | null> {
    this.#call(path)
    const inode = this.#names.get(path)
    return inode === undefined ? null : this.#file(path, inode)
  }

  async make(path: string): Promise<DiskFile> {
    this.#call(path)
    let inode = this.#names.get(path)
    if (inode === undefined) {
      inode = { seen: new Uint8Array(), durable: new Uint8Array(), pending: [] }
      this.#name({ folder: dirname(path), set: [path, inode] })
    } else {
      change(inode, { length: 0 })
    }
    return this.#file(path, inode)
  }

  async rename(from: string, to: string): Promise<void> {
    this.#call(from)
    this.#name({ folder: dirname(to), set: [to, this.#names.get(from)!], remove: from })
  }

  async remove(path: string): Promise<void> {
    this.#call(path)
    this.#name({ folder: dirname(path), remove: path })
  }

  async available(): Promise<number> {
    return Infinity
  }

  async list(folder: string): Promise<string[]> {
    this.#call(folder)
    const names = [...this.#names.keys()].filter((path) => dirname(path) === folder)
    return names.map((path) => path.slice(folder.length + 1))
  }

  async sync(path: string): Promise<void> {
    this.#call(path)
    for (const naming of this.#pendingNames) {
      if (naming.folder === path) rename(this.#durableNames, naming)
    }
    this.#pendingNames = this.#pendingNames.filter(({ folder }) => folder !== path)
  }

  #file(path: string, inode: Inode): DiskFile {
    return {
      size: async () => (this.#call(path), inode.seen.length),
      read: async () => (this.#call(path), inode.seen.slice()),
      write: async (bytes, at) => {
        try {
          this.#call(path)
        } catch (error) {
          const part = bytes.slice(0, Math.floor(this.#random() * (bytes.length + 1)))
          change(inode, { at, bytes: part })
          throw error
        }
        change(inode, { at, bytes: bytes.slice() })
      },
      truncate: async (length) => {
        this.#call(path)
        change(inode, { length })
      },
      sync: async () => {
        try {
          this.#call(path)
        } catch (error) {
          if (!this.#isOff) this.#loseSome(inode)
          throw error
        }
        for (const each of inode.pending) inode.durable = changed(inode.durable, each)
        inode.pending = []
      },
      close: async () => {}
    }
  }

  #call(path: string): void {
    this.calls++
    if (this.#isOff) throw new Error('The power is off')
    if (this.fault === null || this.fault.afterCalls-- > 0) return
    const { errno } = this.fault
    this.fault = null
    if (errno === 'POWER') {
      this.#isOff = true
      throw new Error('The power goes off')
    }
    throw failure(Object.assign(new Error(errno), { code: errno }), path)
  }

  #name(naming: Naming): void {
    rename(this.#names, naming)
    this.#pendingNames.push(naming)
  }

  #loseSome(inode: Inode): void {
    for (const each of inode.pending) {
      const luck = this.#random()
      if (luck < 0.4) inode.durable = changed(inode.durable, each)
      else if (luck < 0.7 && 'bytes' in each) {
        const from = Math.floor(this.#random() * each.bytes.length)
        const half = this.#random() < 0.5 ? [0, from] : [from, each.bytes.length]
        const bytes = each.bytes.slice(half[0], half[1])
        inode.durable = changed(inode.durable, { at: each.at + half[0]!, bytes })
      }
    }
    inode.pending = []
  }
}

function rename(names: Map<string, Inode>, { set, remove }: Naming): void {
  if (remove !== undefined) names.delete(remove)
  if (set !== undefined) names.set(...set)
}

function change(inode: Inode, each: Change): void {
  inode.seen = changed(inode.seen, each)
  inode.pending.push(each)
}

function changed(before: Uint8Array, each: Change): Uint8Array {
  const length =
    'length' in each ? each.length : Math.max(before.length, each.at + each.bytes.length)
  const after = new Uint8Array(length)
  after.set(before.subarray(0, length))
  if ('bytes' in each) after.set(each.bytes, each.at)
  return after
}
