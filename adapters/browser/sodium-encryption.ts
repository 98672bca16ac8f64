/** Encryption under a key that both sides have, in the calling style of `sodium-native`: part of `sodium.ts`. */
import {
  crypto_secretbox_KEYBYTES,
  crypto_secretbox_MACBYTES,
  crypto_secretbox_NONCEBYTES,
  crypto_secretstream_xchacha20poly1305_ABYTES,
  crypto_secretstream_xchacha20poly1305_HEADERBYTES,
  crypto_secretstream_xchacha20poly1305_KEYBYTES,
  crypto_secretstream_xchacha20poly1305_STATEBYTES,
  crypto_stream_KEYBYTES,
  crypto_stream_NONCEBYTES
} from './sodium-lengths.ts'
import {
  call,
  begin,
  room,
  put,
  long,
  padded,
  succeeded,
  end,
  assertBytes,
  assertMin,
  randombytes_buf,
  type Bytes
} from './sodium-module.ts'

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

// What several have in common

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

function assertStream(state: Bytes, key?: Bytes): void {
  assertBytes('state', state, crypto_secretstream_xchacha20poly1305_STATEBYTES)
  if (key !== undefined) assertBytes('key', key, crypto_secretstream_xchacha20poly1305_KEYBYTES)
}
