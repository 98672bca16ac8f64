// The untyped packages that this folder uses: only what is used here.

declare module 'fs-native-extensions' {
  /** Locks a range for this descriptor, exclusively; false when another descriptor holds it. Length 0 is all. */
  export function tryLock(descriptor: number, offset?: number, length?: number): boolean
}

declare module 'hypercore-storage' {
  export default class HypercoreStorage {
    constructor(path: string, options: { writeBufferSize: number })
    /** Writes the default column family out into a table. */
    flush(): Promise<void>
  }
}
