/**
 * libsodium in a page: its official WebAssembly build behind the calling style of `sodium-native`, which hypercore and
 * its relatives are written for. Only the functions they and `lib/crypto.ts` use, each with sodium-native's checks of
 * lengths. The module is compiled while this file loads, since theirs hash while they load.
 */
import { exportNames, memoryName, wasmHex } from './libsodium-wasm.ts'

type Bytes = Uint8Array
type WasmFunction = (...args: number[]) => number

export const crypto_generichash_BYTES = 32
export const crypto_generichash_BYTES_MIN = 16
export const crypto_generichash_BYTES_MAX = 64
export const crypto_generichash_KEYBYTES = 32
export const crypto_generichash_KEYBYTES_MIN = 16
export const crypto_generichash_KEYBYTES_MAX = 64
export const crypto_generichash_STATEBYTES = 384
export const crypto_hash_sha512_BYTES = 64
export const crypto_sign_BYTES = 64
export const crypto_sign_PUBLICKEYBYTES = 32
export const crypto_sign_SECRETKEYBYTES = 64
export const crypto_sign_SEEDBYTES = 32
export const crypto_box_PUBLICKEYBYTES = 32
export const crypto_box_SECRETKEYBYTES = 32
export const crypto_box_SEEDBYTES = 32
export const crypto_box_SEALBYTES = 48
export const crypto_kx_PUBLICKEYBYTES = 32
export const crypto_kx_SECRETKEYBYTES = 32
export const crypto_kx_SEEDBYTES = 32
export const crypto_pwhash_SALTBYTES = 16
export const crypto_pwhash_ALG_ARGON2ID13 = 2
export const crypto_scalarmult_BYTES = 32
export const crypto_scalarmult_SCALARBYTES = 32
export const crypto_scalarmult_ed25519_BYTES = 32
export const crypto_scalarmult_ed25519_SCALARBYTES = 32
export const crypto_secretbox_KEYBYTES = 32
export const crypto_secretbox_NONCEBYTES = 24
export const crypto_secretbox_MACBYTES = 16
export const crypto_stream_KEYBYTES = 32
export const crypto_stream_NONCEBYTES = 24
export const crypto_aead_chacha20poly1305_ietf_ABYTES = 16
export const crypto_aead_chacha20poly1305_ietf_KEYBYTES = 32
export const crypto_aead_chacha20poly1305_ietf_NPUBBYTES = 12
export const crypto_aead_xchacha20poly1305_ietf_ABYTES = 16
export const crypto_aead_xchacha20poly1305_ietf_KEYBYTES = 32
export const crypto_aead_xchacha20poly1305_ietf_NPUBBYTES = 24
export const crypto_secretstream_xchacha20poly1305_ABYTES = 17
export const crypto_secretstream_xchacha20poly1305_HEADERBYTES = 24
export const crypto_secretstream_xchacha20poly1305_KEYBYTES = 32
export const crypto_secretstream_xchacha20poly1305_STATEBYTES = 52
export const crypto_secretstream_xchacha20poly1305_TAGBYTES = 1
export const crypto_secretstream_xchacha20poly1305_TAG_MESSAGE = 0
export const crypto_secretstream_xchacha20poly1305_TAG_PUSH = 1
export const crypto_secretstream_xchacha20poly1305_TAG_REKEY = 2
export const crypto_secretstream_xchacha20poly1305_TAG_FINAL = 3

const module = compile()
const wasm = instantiate()
const memory = wasm[memoryName] as WebAssembly.Memory

/** Room in the module's memory for the arguments of one call. */
const frame = { at: 0, bytes: 64 * 1024, used: 0 }
call('sodium_init')
frame.at = call('malloc', frame.bytes)

// Hashing

export function crypto_generichash(out: Bytes, input: Bytes, key?: Bytes | null): void {
  const keyLength = key?.byteLength ?? 0
  assertRange('out', out, crypto_generichash_BYTES_MIN, crypto_generichash_BYTES_MAX)
  begin(out, input, key)
  const result = room(out)
  const code = call(
    'crypto_generichash',
    ...[result, out.byteLength],
    ...long(input),
    put(key),
    keyLength
  )
  end(code, 'crypto_generichash', [out, result])
}

export function crypto_generichash_batch(out: Bytes, inputs: Bytes[], key?: Bytes | null): void {
  assertRange('out', out, crypto_generichash_BYTES_MIN, crypto_generichash_BYTES_MAX)
  begin(out, key, ...inputs)
  const [state, result] = [roomFor(crypto_generichash_STATEBYTES), room(out)]
  call('crypto_generichash_init', state, put(key), key?.byteLength ?? 0, out.byteLength)
  for (const input of inputs) call('crypto_generichash_update', state, ...long(input))
  const code = call('crypto_generichash_final', state, result, out.byteLength)
  end(code, 'crypto_generichash_batch', [out, result])
}

export function crypto_hash_sha512(out: Bytes, input: Bytes): void {
  assertBytes('out', out, crypto_hash_sha512_BYTES)
  begin(out, input)
  const result = room(out)
  end(call('crypto_hash_sha512', result, ...long(input)), 'crypto_hash_sha512', [out, result])
}

// Signatures

export function crypto_sign_keypair(publicKey: Bytes, secretKey: Bytes): void {
  assertBytes('publicKey', publicKey, crypto_sign_PUBLICKEYBYTES)
  assertBytes('secretKey', secretKey, crypto_sign_SECRETKEYBYTES)
  makeKeys('crypto_sign_keypair', publicKey, secretKey)
}

export function crypto_sign_seed_keypair(publicKey: Bytes, secretKey: Bytes, seed: Bytes): void {
  assertBytes('publicKey', publicKey, crypto_sign_PUBLICKEYBYTES)
  assertBytes('secretKey', secretKey, crypto_sign_SECRETKEYBYTES)
  assertBytes('seed', seed, crypto_sign_SEEDBYTES)
  makeKeys('crypto_sign_seed_keypair', publicKey, secretKey, seed)
}

export function crypto_sign_ed25519_sk_to_pk(publicKey: Bytes, secretKey: Bytes): void {
  assertBytes('publicKey', publicKey, crypto_sign_PUBLICKEYBYTES)
  assertBytes('secretKey', secretKey, crypto_sign_SECRETKEYBYTES)
  publicKey.set(secretKey.subarray(32))
}

export function crypto_sign_detached(signature: Bytes, message: Bytes, secretKey: Bytes): void {
  assertBytes('signature', signature, crypto_sign_BYTES)
  assertBytes('secretKey', secretKey, crypto_sign_SECRETKEYBYTES)
  begin(signature, message, secretKey)
  const result = room(signature)
  const code = call('crypto_sign_detached', result, 0, ...long(message), put(secretKey))
  end(code, 'crypto_sign_detached', [signature, result])
}

export function crypto_sign_verify_detached(
  signature: Bytes,
  message: Bytes,
  publicKey: Bytes
): boolean {
  assertBytes('signature', signature, crypto_sign_BYTES)
  assertBytes('publicKey', publicKey, crypto_sign_PUBLICKEYBYTES)
  begin(signature, message, publicKey)
  return succeeded(
    call('crypto_sign_verify_detached', put(signature), ...long(message), put(publicKey))
  )
}

// Boxes and key agreement

export function crypto_box_keypair(publicKey: Bytes, secretKey: Bytes): void {
  assertBytes('publicKey', publicKey, crypto_box_PUBLICKEYBYTES)
  assertBytes('secretKey', secretKey, crypto_box_SECRETKEYBYTES)
  makeKeys('crypto_box_keypair', publicKey, secretKey)
}

export function crypto_box_seed_keypair(publicKey: Bytes, secretKey: Bytes, seed: Bytes): void {
  assertBytes('publicKey', publicKey, crypto_box_PUBLICKEYBYTES)
  assertBytes('secretKey', secretKey, crypto_box_SECRETKEYBYTES)
  assertBytes('seed', seed, crypto_box_SEEDBYTES)
  makeKeys('crypto_box_seed_keypair', publicKey, secretKey, seed)
}

export function crypto_box_seal(out: Bytes, message: Bytes, publicKey: Bytes): void {
  assertBytes('out', out, message.byteLength + crypto_box_SEALBYTES)
  assertBytes('publicKey', publicKey, crypto_box_PUBLICKEYBYTES)
  begin(out, message, publicKey)
  const result = room(out)
  const code = call('crypto_box_seal', result, ...long(message), put(publicKey))
  end(code, 'crypto_box_seal', [out, result])
}

export function crypto_box_seal_open(
  out: Bytes,
  sealed: Bytes,
  publicKey: Bytes,
  secretKey: Bytes
): boolean {
  assertMin('sealed', sealed, crypto_box_SEALBYTES)
  assertBytes('out', out, sealed.byteLength - crypto_box_SEALBYTES)
  assertBytes('publicKey', publicKey, crypto_box_PUBLICKEYBYTES)
  assertBytes('secretKey', secretKey, crypto_box_SECRETKEYBYTES)
  begin(out, sealed, publicKey, secretKey)
  const result = room(out)
  const keys = [put(publicKey), put(secretKey)]
  return succeeded(call('crypto_box_seal_open', result, ...long(sealed), ...keys), [out, result])
}

export function crypto_kx_keypair(publicKey: Bytes, secretKey: Bytes): void {
  assertBytes('publicKey', publicKey, crypto_kx_PUBLICKEYBYTES)
  assertBytes('secretKey', secretKey, crypto_kx_SECRETKEYBYTES)
  makeKeys('crypto_kx_keypair', publicKey, secretKey)
}

export function crypto_kx_seed_keypair(publicKey: Bytes, secretKey: Bytes, seed: Bytes): void {
  assertBytes('publicKey', publicKey, crypto_kx_PUBLICKEYBYTES)
  assertBytes('secretKey', secretKey, crypto_kx_SECRETKEYBYTES)
  assertBytes('seed', seed, crypto_kx_SEEDBYTES)
  makeKeys('crypto_kx_seed_keypair', publicKey, secretKey, seed)
}

export function crypto_scalarmult_base(out: Bytes, scalar: Bytes): void {
  assertBytes('out', out, crypto_scalarmult_BYTES)
  assertBytes('scalar', scalar, crypto_scalarmult_SCALARBYTES)
  begin(out, scalar)
  const result = room(out)
  const code = call('crypto_scalarmult_base', result, put(scalar))
  end(code, 'crypto_scalarmult_base', [out, result])
}

export function crypto_scalarmult(out: Bytes, scalar: Bytes, point: Bytes): void {
  multiply('crypto_scalarmult', out, scalar, point)
}

export function crypto_scalarmult_ed25519_noclamp(out: Bytes, scalar: Bytes, point: Bytes): void {
  multiply('crypto_scalarmult_ed25519_noclamp', out, scalar, point)
}

// Encryption

export function crypto_secretbox_easy(out: Bytes, message: Bytes, nonce: Bytes, key: Bytes): void {
  assertBytes('out', out, message.byteLength + crypto_secretbox_MACBYTES)
  assertBytes('nonce', nonce, crypto_secretbox_NONCEBYTES)
  assertBytes('key', key, crypto_secretbox_KEYBYTES)
  begin(out, message, nonce, key)
  const result = room(out)
  const code = call('crypto_secretbox_easy', result, ...long(message), put(nonce), put(key))
  end(code, 'crypto_secretbox_easy', [out, result])
}

export function crypto_secretbox_open_easy(
  out: Bytes,
  sealed: Bytes,
  nonce: Bytes,
  key: Bytes
): boolean {
  assertMin('sealed', sealed, crypto_secretbox_MACBYTES)
  assertBytes('out', out, sealed.byteLength - crypto_secretbox_MACBYTES)
  assertBytes('nonce', nonce, crypto_secretbox_NONCEBYTES)
  assertBytes('key', key, crypto_secretbox_KEYBYTES)
  begin(out, sealed, nonce, key)
  const result = room(out)
  const code = call('crypto_secretbox_open_easy', result, ...long(sealed), put(nonce), put(key))
  return succeeded(code, [out, result])
}

export function crypto_stream_xor(out: Bytes, message: Bytes, nonce: Bytes, key: Bytes): void {
  assertBytes('out', out, message.byteLength)
  assertBytes('nonce', nonce, crypto_stream_NONCEBYTES)
  assertBytes('key', key, crypto_stream_KEYBYTES)
  begin(out, message, nonce, key)
  const result = room(out)
  const code = call('crypto_stream_xor', result, ...long(message), put(nonce), put(key))
  end(code, 'crypto_stream_xor', [out, result])
}

export function crypto_aead_chacha20poly1305_ietf_encrypt(
  out: Bytes,
  message: Bytes,
  additionalData: Bytes | null,
  _secretNonce: null,
  nonce: Bytes,
  key: Bytes
): number {
  const name = 'crypto_aead_chacha20poly1305_ietf_encrypt'
  return encrypt(name, out, message, additionalData, nonce, 12, key)
}

export function crypto_aead_chacha20poly1305_ietf_decrypt(
  out: Bytes,
  _secretNonce: null,
  sealed: Bytes,
  additionalData: Bytes | null,
  nonce: Bytes,
  key: Bytes
): number {
  const name = 'crypto_aead_chacha20poly1305_ietf_decrypt'
  return decrypt(name, out, sealed, additionalData, nonce, 12, key)
}

export function crypto_aead_xchacha20poly1305_ietf_encrypt(
  out: Bytes,
  message: Bytes,
  additionalData: Bytes | null,
  _secretNonce: null,
  nonce: Bytes,
  key: Bytes
): number {
  const name = 'crypto_aead_xchacha20poly1305_ietf_encrypt'
  return encrypt(name, out, message, additionalData, nonce, 24, key)
}

export function crypto_aead_xchacha20poly1305_ietf_decrypt(
  out: Bytes,
  _secretNonce: null,
  sealed: Bytes,
  additionalData: Bytes | null,
  nonce: Bytes,
  key: Bytes
): number {
  const name = 'crypto_aead_xchacha20poly1305_ietf_decrypt'
  return decrypt(name, out, sealed, additionalData, nonce, 24, key)
}

// Streams of sealed messages

export function crypto_secretstream_xchacha20poly1305_keygen(key: Bytes): void {
  assertBytes('key', key, crypto_secretstream_xchacha20poly1305_KEYBYTES)
  randombytes_buf(key)
}

export function crypto_secretstream_xchacha20poly1305_init_push(
  state: Bytes,
  header: Bytes,
  key: Bytes
): void {
  assertStream(state, key)
  assertBytes('header', header, crypto_secretstream_xchacha20poly1305_HEADERBYTES)
  begin(state, header, key)
  const [stateAt, headerAt] = [room(state), room(header)]
  const name = 'crypto_secretstream_xchacha20poly1305_init_push'
  end(call(name, stateAt, headerAt, put(key)), name, [state, stateAt], [header, headerAt])
}

export function crypto_secretstream_xchacha20poly1305_init_pull(
  state: Bytes,
  header: Bytes,
  key: Bytes
): void {
  assertStream(state, key)
  assertBytes('header', header, crypto_secretstream_xchacha20poly1305_HEADERBYTES)
  begin(state, header, key)
  const stateAt = room(state)
  const name = 'crypto_secretstream_xchacha20poly1305_init_pull'
  end(call(name, stateAt, put(header), put(key)), name, [state, stateAt])
}

export function crypto_secretstream_xchacha20poly1305_push(
  state: Bytes,
  out: Bytes,
  message: Bytes,
  additionalData: Bytes | null,
  tag: number | Bytes
): number {
  assertStream(state)
  assertBytes('out', out, message.byteLength + crypto_secretstream_xchacha20poly1305_ABYTES)
  begin(state, out, message, additionalData)
  const [stateAt, result] = [put(state), room(out)]
  const name = 'crypto_secretstream_xchacha20poly1305_push'
  const tagByte = typeof tag === 'number' ? tag : tag[0]!
  const parts = [...long(message), ...padded(additionalData), tagByte]
  end(call(name, stateAt, result, 0, ...parts), name, [state, stateAt], [out, result])
  return out.byteLength
}

export function crypto_secretstream_xchacha20poly1305_pull(
  state: Bytes,
  out: Bytes,
  tag: Bytes,
  sealed: Bytes,
  additionalData: Bytes | null
): number {
  assertStream(state)
  assertMin('sealed', sealed, crypto_secretstream_xchacha20poly1305_ABYTES)
  assertBytes('out', out, sealed.byteLength - crypto_secretstream_xchacha20poly1305_ABYTES)
  begin(state, out, tag, sealed, additionalData)
  const [stateAt, result, tagAt] = [put(state), room(out), room(tag)]
  const name = 'crypto_secretstream_xchacha20poly1305_pull'
  const parts = [...long(sealed), ...padded(additionalData)]
  const code = call(name, stateAt, result, 0, tagAt, ...parts)
  if (code !== 0) tag.fill(0xff)
  end(code, name, [state, stateAt], [out, result], [tag, tagAt])
  return out.byteLength
}

// Bytes

export function randombytes_buf(out: Bytes): void {
  // No more than this at a time, by the standard.
  for (let at = 0; at < out.byteLength; at += 65_536) {
    crypto.getRandomValues(out.subarray(at, at + 65_536) as Uint8Array<ArrayBuffer>)
  }
}

export function sodium_memzero(bytes: Bytes): void {
  bytes.fill(0)
}

/** Plain memory: a page has none that could be locked. */
export function sodium_malloc(byteLength: number): Bytes {
  return new Uint8Array(byteLength)
}

export function sodium_free(bytes: Bytes): void {
  bytes.fill(0)
}

export function sodium_increment(bytes: Bytes): void {
  let carry = 1
  for (let i = 0; i < bytes.byteLength; i++) {
    carry += bytes[i]!
    bytes[i] = carry
    carry >>= 8
  }
}

// The calls themselves

function makeKeys(name: string, publicKey: Bytes, secretKey: Bytes, seed?: Bytes): void {
  begin(publicKey, secretKey, seed)
  const [publicAt, secretAt] = [room(publicKey), room(secretKey)]
  const code = call(name, publicAt, secretAt, ...(seed === undefined ? [] : [put(seed)]))
  end(code, name, [publicKey, publicAt], [secretKey, secretAt])
}

function multiply(name: string, out: Bytes, scalar: Bytes, point: Bytes): void {
  assertBytes('out', out, 32)
  assertBytes('scalar', scalar, 32)
  assertBytes('point', point, 32)
  begin(out, scalar, point)
  const result = room(out)
  end(call(name, result, put(scalar), put(point)), name, [out, result])
}

function encrypt(
  name: string,
  out: Bytes,
  message: Bytes,
  additionalData: Bytes | null,
  nonce: Bytes,
  nonceBytes: number,
  key: Bytes
): number {
  assertBytes('out', out, message.byteLength + 16)
  assertBytes('nonce', nonce, nonceBytes)
  assertBytes('key', key, 32)
  begin(out, message, additionalData, nonce, key)
  const result = room(out)
  const parts = [...long(message), ...padded(additionalData), 0, put(nonce), put(key)]
  end(call(name, result, 0, ...parts), name, [out, result])
  return out.byteLength
}

function decrypt(
  name: string,
  out: Bytes,
  sealed: Bytes,
  additionalData: Bytes | null,
  nonce: Bytes,
  nonceBytes: number,
  key: Bytes
): number {
  assertMin('sealed', sealed, 16)
  assertBytes('out', out, sealed.byteLength - 16)
  assertBytes('nonce', nonce, nonceBytes)
  assertBytes('key', key, 32)
  begin(out, sealed, additionalData, nonce, key)
  const result = room(out)
  const parts = [...long(sealed), ...padded(additionalData), put(nonce), put(key)]
  end(call(name, result, 0, 0, ...parts), name, [out, result])
  return out.byteLength
}

// Passphrases

/** In an instance of its own: a module's memory only grows, and this takes as much as it says. */
export function crypto_pwhash(
  out: Bytes,
  password: Bytes,
  salt: Bytes,
  passes: number,
  memoryBytes: number,
  algorithm: number
): void {
  assertMin('out', out, 16)
  assertBytes('salt', salt, crypto_pwhash_SALTBYTES)
  const own = instantiate()
  functionOf(own, 'sodium_init')()
  const [result, at, saltAt] = [out, password, salt].map(({ byteLength }) =>
    functionOf(own, 'malloc')(byteLength)
  ) as [number, number, number]
  const bytes = (): Uint8Array => new Uint8Array((own[memoryName] as WebAssembly.Memory).buffer)
  bytes().set(password, at)
  bytes().set(salt, saltAt)
  const lengths = [out.byteLength, 0, at, password.byteLength, 0, saltAt]
  const code = functionOf(
    own,
    'crypto_pwhash'
  )(...[result, ...lengths, passes, 0, memoryBytes, algorithm])
  if (code !== 0) throw new Error('crypto_pwhash failed')
  out.set(bytes().subarray(result, result + out.byteLength))
}

function compile(): WebAssembly.Module {
  const bytes = new Uint8Array(wasmHex.length / 2)
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = Number.parseInt(wasmHex.slice(2 * i, 2 * i + 2), 16)
  return new WebAssembly.Module(bytes)
}

function instantiate(): WebAssembly.Exports {
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

function call(name: string, ...args: number[]): number {
  return functionOf(wasm, name)(...args)
}

function functionOf(exports: WebAssembly.Exports, name: string): WasmFunction {
  return exports[exportNames[name]!] as WasmFunction
}

/** Makes room for copies of all of these. Libsodium's state wants to lie at multiples of 64. */
function begin(...all: (Bytes | null | undefined)[]): void {
  let needed = crypto_generichash_STATEBYTES + 64
  for (const bytes of all) needed += (bytes?.byteLength ?? 0) + 64
  frame.used = 0
  if (needed <= frame.bytes) return
  call('free', frame.at)
  while (frame.bytes < needed) frame.bytes *= 2
  frame.at = call('malloc', frame.bytes)
  if (frame.at === 0) throw new RangeError(`No memory for ${needed} bytes`)
}

function roomFor(byteLength: number): number {
  const at = (frame.at + frame.used + 63) & ~63
  frame.used = at - frame.at + byteLength
  return at
}

function room(bytes: Bytes): number {
  return roomFor(bytes.byteLength)
}

/** Copies bytes in; 0 for none. */
function put(bytes: Bytes | null | undefined): number {
  if (bytes === null || bytes === undefined) return 0
  const at = room(bytes)
  new Uint8Array(memory.buffer).set(bytes, at)
  return at
}

/** A pointer and a 64-bit length, which Emscripten passes in two halves. */
function long(bytes: Bytes): number[] {
  return [put(bytes), bytes.byteLength, 0]
}

function padded(bytes: Bytes | null): number[] {
  return bytes === null ? [0, 0, 0] : long(bytes)
}

/** Copies results out, and leaves neither keys nor messages behind in the module's memory. */
function succeeded(code: number, ...results: [to: Bytes, at: number][]): boolean {
  const bytes = new Uint8Array(memory.buffer)
  if (code === 0) for (const [to, at] of results) to.set(bytes.subarray(at, at + to.byteLength))
  bytes.fill(0, frame.at, frame.at + frame.used)
  return code === 0
}

function end(code: number, name: string, ...results: [to: Bytes, at: number][]): void {
  if (!succeeded(code, ...results)) throw new Error(`${name} failed`)
}

function assertBytes(name: string, bytes: Bytes, byteLength: number): void {
  if (bytes.byteLength === byteLength) return
  throw new RangeError(`\`${name}\` has ${byteLength} bytes, not ${bytes.byteLength}`)
}

function assertMin(name: string, bytes: Bytes, byteLength: number): void {
  if (bytes.byteLength >= byteLength) return
  throw new RangeError(`\`${name}\` has at least ${byteLength} bytes, not ${bytes.byteLength}`)
}

function assertRange(name: string, bytes: Bytes, min: number, max: number): void {
  if (bytes.byteLength >= min && bytes.byteLength <= max) return
  throw new RangeError(`\`${name}\` has ${min} to ${max} bytes, not ${bytes.byteLength}`)
}

function assertStream(state: Bytes, key?: Bytes): void {
  assertBytes('state', state, crypto_secretstream_xchacha20poly1305_STATEBYTES)
  if (key !== undefined) assertBytes('key', key, crypto_secretstream_xchacha20poly1305_KEYBYTES)
}
