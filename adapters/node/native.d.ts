// The untyped package that locks files: only what is used here.

declare module 'fs-native-extensions' {
  /** Locks a range for this descriptor, exclusively; false when another descriptor holds it. Length 0 is all. */
  export function tryLock(descriptor: number, offset?: number, length?: number): boolean
}
