// The untyped packages that the platforms use: only what is used there.

declare module 'fs-native-extensions' {
  /** Locks a range for this descriptor, exclusively; false when another descriptor holds it. Length 0 is all. */
  export function tryLock(descriptor: number, offset?: number, length?: number): boolean
}

declare module 'device-file' {
  export default class DeviceFile {
    constructor(path: string, options: { lock: boolean })
    ready(): Promise<void>
    close(): Promise<void>
    /** False where the file is not the one that was made there, unchanged. */
    static validate(path: string, data: object): Promise<boolean>
  }
}

// The rest of it is declared in `lib/holepunch.d.ts`.
declare module 'hypercore-storage' {
  interface DatabaseRoot {
    readonly _state: import('./recent-writes.ts').DatabaseState
  }
}
