// The untyped packages that the platforms use: only what is used there.

declare module 'fs-native-extensions' {
  /** Locks a range for this descriptor, exclusively; false when another descriptor holds it. Length 0 is all. */
  export function tryLock(descriptor: number, offset?: number, length?: number): boolean
}

declare module 'hypercore-storage' {
  export default class HypercoreStorage {
    /** `path`, or an object with the database interface. */
    constructor(path: string | object, options?: { writeBufferSize: number })
    /** Writes the default column family out into a table. */
    flush(): Promise<void>
    /** The whole database, and the column family that the logs lie in. */
    readonly rocks: { readonly _state: import('./recent-writes.ts').DatabaseState }
    readonly db: { readonly defaultColumnFamily: object }
  }
}
