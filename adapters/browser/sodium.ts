/**
 * libsodium in a page: its official WebAssembly build behind the calling style of `sodium-native`, which hypercore and
 * its relatives are written for. Only the functions they and `lib/crypto.ts` use, each with sodium-native's checks of
 * lengths.
 */
import { memoryName } from './libsodium-wasm.ts'
import {
  crypto_box_PUBLICKEYBYTES,
  crypto_box_SEALBYTES,
  crypto_box_SECRETKEYBYTES,
  crypto_box_SEEDBYTES,
  crypto_generichash_BYTES_MAX,
  crypto_generichash_BYTES_MIN,
  crypto_generichash_STATEBYTES,
  crypto_hash_sha512_BYTES,
  crypto_kx_PUBLICKEYBYTES,
  crypto_kx_SECRETKEYBYTES,
  crypto_kx_SEEDBYTES,
  crypto_pwhash_SALTBYTES,
  crypto_scalarmult_BYTES,
  crypto_scalarmult_SCALARBYTES,
  crypto_sign_BYTES,
  crypto_sign_PUBLICKEYBYTES,
  crypto_sign_SECRETKEYBYTES,
  crypto_sign_SEEDBYTES
} from './sodium-lengths.ts'
import {
  instantiate,
  call,
  functionOf,
  begin,
  roomFor,
  room,
  put,
  long,
  succeeded,
  end,
  assertBytes,
  assertMin,
  assertRange,
  type Bytes
} from './sodium-module.ts'

export * from './sodium-encryption.ts'
export * from './sodium-lengths.ts'
export { randombytes_buf } from './sodium-module.ts'

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

// Bytes

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

// What several have in common

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
