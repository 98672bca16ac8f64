// Of an untyped package, what this folder uses.
declare module 'fs-native-extensions' {
  /** Lets two paths change places; on Linux and macOS in one step (renameat2, renamex_np). */
  export function swap(from: string, to: string): Promise<void>
}
