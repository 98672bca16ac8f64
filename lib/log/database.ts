/** The key-value database that the logs lie in, as far as views use it: hypercore-storage's. */

export interface KeyValueStore {
  get(key: Uint8Array): Promise<Uint8Array | null>
  write(options?: { autoDestroy?: boolean }): KeyValueBatch
  iterator(range: {
    gte?: Uint8Array
    lt?: Uint8Array
    reverse?: boolean
    limit?: number
  }): AsyncIterable<{ key: Uint8Array; value: Uint8Array }>
  close(): Promise<void>
}

/** Takes effect whole, or not at all, at `flush`. */
export interface KeyValueBatch {
  tryPut(key: Uint8Array, value: Uint8Array): void
  tryDeleteRange(start: Uint8Array, end: Uint8Array): void
  flush(): Promise<void>
}
