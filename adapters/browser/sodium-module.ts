/**
 * Libsodium's WebAssembly module, and how bytes get into its memory and out again. It is compiled while this file loads,
 * since hypercore and its relatives hash while they load.
 */
import { exportNames, highDigits, lowDigits, memoryName, wasmText } from './libsodium-wasm.ts'
import { crypto_generichash_STATEBYTES } from './sodium-lengths.ts'

export type Bytes = Uint8Array
type WasmFunction = (...args: number[]) => number

const module = compile()
const wasm = instantiate()
const memory = wasm[memoryName] as WebAssembly.Memory

/** Room in the module's memory for the arguments of one call. */
const frame = { at: 0, bytes: 64 * 1024, used: 0 }
call('sodium_init')
frame.at = call('malloc', frame.bytes)

function compile(): WebAssembly.Module {
  const bytes = new Uint8Array(wasmText.length / 2)
  const [high, low] = [valuesOf(highDigits), valuesOf(lowDigits)]
  for (let i = 0; i < bytes.length; i++) {
    const at = 2 * i
    bytes[i] = 16 * high[wasmText.charCodeAt(at)]! + low[wasmText.charCodeAt(at + 1)]!
  }
  return new WebAssembly.Module(bytes)
}

/** By character code, what a digit stands for. */
function valuesOf(digits: string): Uint8Array {
  const values = new Uint8Array(128)
  for (let value = 0; value < digits.length; value++) values[digits.charCodeAt(value)] = value
  return values
}

export function instantiate(): WebAssembly.Exports {
  const fail = (): never => {
    throw new Error('libsodium has aborted')
  }
  // What the module asks of its host, under Emscripten's short names: a failed assertion, a random word, an end, memory.
  const imports = {
    a: {
      a: fail,
      b: () => crypto.getRandomValues(new Uint32Array(1))[0]! | 0,
      c: fail,
      d: (byteLength: number) => {
        const own = exports[memoryName] as WebAssembly.Memory
        const pages = Math.ceil((byteLength - own.buffer.byteLength) / 65_536)
        try {
          own.grow(pages)
          return 1
        } catch {
          return 0 // So `malloc` fails, which is told where it was called.
        }
      }
    }
  }
  const { exports } = new WebAssembly.Instance(module, imports)
  return exports
}

export function call(name: string, ...args: number[]): number {
  return functionOf(wasm, name)(...args)
}

export function functionOf(exports: WebAssembly.Exports, name: string): WasmFunction {
  return exports[exportNames[name]!] as WasmFunction
}

/** Makes room for copies of all of these. Libsodium's state wants to lie at multiples of 64. */
export function begin(...all: (Bytes | null | undefined)[]): void {
  let needed = crypto_generichash_STATEBYTES + 64
  for (const bytes of all) needed += (bytes?.byteLength ?? 0) + 64
  frame.used = 0
  if (needed <= frame.bytes) return
  call('free', frame.at)
  while (frame.bytes < needed) frame.bytes *= 2
  frame.at = call('malloc', frame.bytes)
  if (frame.at === 0) throw new RangeError(`No memory for ${needed} bytes`)
}

export function roomFor(byteLength: number): number {
  const at = (frame.at + frame.used + 63) & ~63
  frame.used = at - frame.at + byteLength
  return at
}

export function room(bytes: Bytes): number {
  return roomFor(bytes.byteLength)
}

/** Copies bytes in; 0 for none. */
export function put(bytes: Bytes | null | undefined): number {
  if (bytes === null || bytes === undefined) return 0
  const at = room(bytes)
  new Uint8Array(memory.buffer).set(bytes, at)
  return at
}

/** A pointer and a 64-bit length, which Emscripten passes in two halves. */
export function long(bytes: Bytes): number[] {
  return [put(bytes), bytes.byteLength, 0]
}

export function padded(bytes: Bytes | null): number[] {
  return bytes === null ? [0, 0, 0] : long(bytes)
}

/** Copies results out, and leaves neither keys nor messages behind in the module's memory. */
export function succeeded(code: number, ...results: [to: Bytes, at: number][]): boolean {
  const bytes = new Uint8Array(memory.buffer)
  if (code === 0) for (const [to, at] of results) to.set(bytes.subarray(at, at + to.byteLength))
  bytes.fill(0, frame.at, frame.at + frame.used)
  return code === 0
}

export function end(code: number, name: string, ...results: [to: Bytes, at: number][]): void {
  if (!succeeded(code, ...results)) throw new Error(`${name} failed`)
}

export function assertBytes(name: string, bytes: Bytes, byteLength: number): void {
  if (bytes.byteLength === byteLength) return
  throw new RangeError(`\`${name}\` has ${byteLength} bytes, not ${bytes.byteLength}`)
}

export function assertMin(name: string, bytes: Bytes, byteLength: number): void {
  if (bytes.byteLength >= byteLength) return
  throw new RangeError(`\`${name}\` has at least ${byteLength} bytes, not ${bytes.byteLength}`)
}

export function assertRange(name: string, bytes: Bytes, min: number, max: number): void {
  if (bytes.byteLength >= min && bytes.byteLength <= max) return
  throw new RangeError(`\`${name}\` has ${min} to ${max} bytes, not ${bytes.byteLength}`)
}

export function randombytes_buf(out: Bytes): void {
  // No more than this at a time, by the standard.
  for (let at = 0; at < out.byteLength; at += 65_536) {
    crypto.getRandomValues(out.subarray(at, at + 65_536) as Uint8Array<ArrayBuffer>)
  }
}
