/** Calls of every function that the page's libsodium offers, with fixed arguments: same calls, same bytes. */
import type * as PageSodium from '../../adapters/browser/sodium.ts'

export type Sodium = typeof PageSodium

/** By case, what came out, in hex; an error by its kind. */
export function runCases(sodium: Sodium): Record<string, string[]> {
  const answers: Record<string, string[]> = {}
  for (const [name, run] of Object.entries(cases)) {
    answers[name] = run(sodium).map((answer) =>
      answer instanceof Uint8Array ? hex(answer) : `${answer}`
    )
  }
  return answers
}

type Answer = Uint8Array | boolean | number | string

const lengths = [0, 1, 15, 64, 129, 4_096, 200_000]

const cases: Record<string, (sodium: Sodium) => Answer[]> = {
  crypto_generichash: (sodium) =>
    lengths.flatMap((length) => [
      out(32, (o) => sodium.crypto_generichash(o, bytes(length))),
      out(64, (o) => sodium.crypto_generichash(o, bytes(length), bytes(32))),
      out(16, (o) => sodium.crypto_generichash(o, bytes(length), bytes(64)))
    ]),
  crypto_generichash_batch: (sodium) => [
    out(32, (o) => sodium.crypto_generichash_batch(o, [bytes(3), bytes(0), bytes(1_000)])),
    out(32, (o) => sodium.crypto_generichash_batch(o, [bytes(70), bytes(200_000)], bytes(32)))
  ],
  crypto_hash_sha512: (sodium) =>
    lengths.map((length) => out(64, (o) => sodium.crypto_hash_sha512(o, bytes(length)))),
  crypto_sign: (sodium) => {
    const [publicKey, secretKey] = pair(32, 64, (pk, sk) => {
      sodium.crypto_sign_seed_keypair(pk, sk, bytes(32))
    })
    const answers: Answer[] = [publicKey, secretKey]
    answers.push(out(32, (o) => sodium.crypto_sign_ed25519_sk_to_pk(o, secretKey)))
    for (const length of lengths) {
      const signature = out(64, (o) => sodium.crypto_sign_detached(o, bytes(length), secretKey))
      answers.push(signature)
      answers.push(sodium.crypto_sign_verify_detached(signature, bytes(length), publicKey))
      answers.push(sodium.crypto_sign_verify_detached(signature, bytes(length + 1), publicKey))
    }
    return answers
  },
  crypto_sign_keypair: (sodium) => {
    const [publicKey, secretKey] = pair(32, 64, (pk, sk) => sodium.crypto_sign_keypair(pk, sk))
    const signature = out(64, (o) => sodium.crypto_sign_detached(o, bytes(9), secretKey))
    return [sodium.crypto_sign_verify_detached(signature, bytes(9), publicKey)]
  },
  crypto_pwhash: (sodium) => {
    const algorithm = sodium.crypto_pwhash_ALG_ARGON2ID13
    const derived = (passes: number, kib: number, length: number): Uint8Array =>
      out(32, (o) =>
        sodium.crypto_pwhash(o, bytes(length), bytes(16), passes, kib * 1024, algorithm)
      )
    return [
      derived(1, 8, 0),
      derived(2, 100, 9),
      derived(3, 64 * 1024, 30),
      fails(() => derived(3, 1, 30)),
      fails(() => sodium.crypto_pwhash(bytes(32), bytes(9), bytes(9), 1, 8_192, algorithm))
    ]
  },
  crypto_box: (sodium) => {
    const [publicKey, secretKey] = pair(32, 32, (pk, sk) => {
      sodium.crypto_box_seed_keypair(pk, sk, bytes(32))
    })
    const sealed = out(48 + 77, (o) => sodium.crypto_box_seal(o, bytes(77), publicKey))
    const opened = new Uint8Array(77)
    const isOpen = sodium.crypto_box_seal_open(opened, sealed, publicKey, secretKey)
    sealed[50]! ^= 1
    const isBroken = sodium.crypto_box_seal_open(new Uint8Array(77), sealed, publicKey, secretKey)
    return [publicKey, secretKey, isOpen, opened, isBroken]
  },
  crypto_box_keypair: (sodium) => {
    const [publicKey, secretKey] = pair(32, 32, (pk, sk) => sodium.crypto_box_keypair(pk, sk))
    return [
      equal(
        out(32, (o) => sodium.crypto_scalarmult_base(o, secretKey)),
        publicKey
      )
    ]
  },
  crypto_kx: (sodium) => {
    const [publicKey, secretKey] = pair(32, 32, (pk, sk) => {
      sodium.crypto_kx_seed_keypair(pk, sk, bytes(32))
    })
    const [made, secret] = pair(32, 32, (pk, sk) => sodium.crypto_kx_keypair(pk, sk))
    const derived = out(32, (o) => sodium.crypto_scalarmult_base(o, secret))
    return [publicKey, secretKey, equal(made, derived)]
  },
  crypto_scalarmult: (sodium) => {
    const point = out(32, (o) => sodium.crypto_scalarmult_base(o, bytes(32, 5)))
    return [
      point,
      out(32, (o) => sodium.crypto_scalarmult(o, bytes(32, 6), point)),
      fails(() => sodium.crypto_scalarmult(new Uint8Array(32), bytes(32), new Uint8Array(32)))
    ]
  },
  crypto_scalarmult_ed25519_noclamp: (sodium) => {
    const [point] = pair(32, 64, (pk, sk) => sodium.crypto_sign_seed_keypair(pk, sk, bytes(32)))
    const scalar = bytes(32, 8)
    scalar[31]! &= 15
    const none = new Uint8Array(32)
    return [
      out(32, (o) => sodium.crypto_scalarmult_ed25519_noclamp(o, scalar, point)),
      fails(() => sodium.crypto_scalarmult_ed25519_noclamp(new Uint8Array(32), scalar, none))
    ]
  },
  crypto_secretbox: (sodium) =>
    lengths.flatMap((length) => {
      const [nonce, key, message] = [bytes(24, 1), bytes(32, 2), bytes(length, 3)]
      const sealed = out(length + 16, (o) => sodium.crypto_secretbox_easy(o, message, nonce, key))
      const opened = new Uint8Array(length)
      const isOpen = sodium.crypto_secretbox_open_easy(opened, sealed, nonce, key)
      const isOther = sodium.crypto_secretbox_open_easy(opened, sealed, bytes(24, 9), key)
      return [sealed, opened, isOpen, isOther]
    }),
  crypto_stream_xor: (sodium) =>
    lengths.map((length) =>
      out(length, (o) => sodium.crypto_stream_xor(o, bytes(length), bytes(24, 1), bytes(32, 2)))
    ),
  crypto_aead_chacha20poly1305_ietf: (sodium) =>
    aead(
      12,
      (...args) => sodium.crypto_aead_chacha20poly1305_ietf_encrypt(...args),
      (...args) => sodium.crypto_aead_chacha20poly1305_ietf_decrypt(...args)
    ),
  crypto_aead_xchacha20poly1305_ietf: (sodium) =>
    aead(
      24,
      (...args) => sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(...args),
      (...args) => sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(...args)
    ),
  crypto_secretstream_xchacha20poly1305: (sodium) => {
    // Its header is random: what is the same is that the other end opens what this end sealed.
    const key = out(32, (o) => sodium.crypto_secretstream_xchacha20poly1305_keygen(o))
    const [sending, receiving] = [new Uint8Array(52), new Uint8Array(52)]
    const header = new Uint8Array(24)
    sodium.crypto_secretstream_xchacha20poly1305_init_push(sending, header, key)
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(receiving, header, key)
    const answers: Answer[] = [equal(sending, receiving)]
    for (const [i, length] of [0, 5, 70_000].entries()) {
      const sealed = new Uint8Array(length + 17)
      const [message, extra] = [bytes(length), i === 1 ? bytes(4) : null]
      sodium.crypto_secretstream_xchacha20poly1305_push(
        sending,
        sealed,
        message,
        extra,
        i === 2 ? 3 : 0
      )
      const [opened, tag] = [new Uint8Array(length), new Uint8Array(1)]
      sodium.crypto_secretstream_xchacha20poly1305_pull(receiving, opened, tag, sealed, extra)
      answers.push(opened, tag, equal(sending, receiving))
      const again = fails(() =>
        sodium.crypto_secretstream_xchacha20poly1305_pull(receiving, opened, tag, sealed, extra)
      )
      answers.push(again)
    }
    return answers
  },
  // With a state given, sealing is the same everywhere.
  crypto_secretstream_from_state: (sodium) => {
    const state = bytes(52, 4)
    const answers: Answer[] = []
    for (const length of [0, 33, 9_000]) {
      answers.push(
        out(length + 17, (o) =>
          sodium.crypto_secretstream_xchacha20poly1305_push(state, o, bytes(length), null, 0)
        )
      )
    }
    return [...answers, state]
  },
  bytes: (sodium) => {
    const carry = new Uint8Array([255, 255, 1, 0])
    sodium.sodium_increment(carry)
    const zeroed = bytes(9)
    sodium.sodium_memzero(zeroed)
    const random = out(70_000, (o) => sodium.randombytes_buf(o))
    const room = sodium.sodium_malloc(12)
    const roomLength = room.length
    sodium.sodium_free(room)
    return [carry, zeroed, new Set(random).size, roomLength]
  },
  constants: (sodium) =>
    Object.entries(sodium)
      .filter(([, value]) => typeof value === 'number')
      .filter(([name]) => pageConstants.has(name))
      .map(([name, value]) => `${name}=${Number(value)}`)
      .sort()
}

const pageConstants = new Set(
  `crypto_generichash_BYTES crypto_generichash_BYTES_MIN crypto_generichash_BYTES_MAX crypto_generichash_KEYBYTES
  crypto_generichash_KEYBYTES_MIN crypto_generichash_KEYBYTES_MAX crypto_hash_sha512_BYTES crypto_sign_BYTES
  crypto_generichash_STATEBYTES crypto_sign_PUBLICKEYBYTES crypto_sign_SECRETKEYBYTES crypto_sign_SEEDBYTES
  crypto_box_PUBLICKEYBYTES crypto_box_SECRETKEYBYTES crypto_box_SEEDBYTES crypto_box_SEALBYTES
  crypto_kx_PUBLICKEYBYTES crypto_kx_SECRETKEYBYTES crypto_kx_SEEDBYTES crypto_scalarmult_BYTES
  crypto_scalarmult_SCALARBYTES crypto_scalarmult_ed25519_BYTES crypto_scalarmult_ed25519_SCALARBYTES
  crypto_secretbox_KEYBYTES crypto_secretbox_NONCEBYTES crypto_secretbox_MACBYTES crypto_stream_KEYBYTES
  crypto_stream_NONCEBYTES crypto_aead_chacha20poly1305_ietf_ABYTES crypto_aead_chacha20poly1305_ietf_KEYBYTES
  crypto_aead_chacha20poly1305_ietf_NPUBBYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
  crypto_aead_xchacha20poly1305_ietf_KEYBYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
  crypto_secretstream_xchacha20poly1305_ABYTES crypto_secretstream_xchacha20poly1305_HEADERBYTES
  crypto_secretstream_xchacha20poly1305_KEYBYTES crypto_secretstream_xchacha20poly1305_STATEBYTES
  crypto_secretstream_xchacha20poly1305_TAGBYTES crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
  crypto_secretstream_xchacha20poly1305_TAG_PUSH crypto_secretstream_xchacha20poly1305_TAG_REKEY
  crypto_secretstream_xchacha20poly1305_TAG_FINAL`.split(/\s+/)
)

type Encrypt = Sodium['crypto_aead_xchacha20poly1305_ietf_encrypt']
type Decrypt = Sodium['crypto_aead_xchacha20poly1305_ietf_decrypt']

function aead(nonceBytes: number, encrypt: Encrypt, decrypt: Decrypt): Answer[] {
  const [nonce, key] = [bytes(nonceBytes, 1), bytes(32, 2)]
  return lengths.flatMap((length) =>
    [null, bytes(0), bytes(100, 7)].flatMap((additional) => {
      const message = bytes(length, 3)
      const sealed = out(length + 16, (o) => encrypt(o, message, additional, null, nonce, key))
      const opened = out(length, (o) => decrypt(o, null, sealed, additional, nonce, key))
      const other = bytes(101, 7)
      const broken = fails(() => decrypt(new Uint8Array(length), null, sealed, other, nonce, key))
      return [sealed, opened, broken]
    })
  )
}

function out(length: number, write: (bytes: Uint8Array) => unknown): Uint8Array {
  const bytes = new Uint8Array(length)
  write(bytes)
  return bytes
}

function pair(
  publicBytes: number,
  secretBytes: number,
  make: (publicKey: Uint8Array, secretKey: Uint8Array) => void
): [Uint8Array, Uint8Array] {
  const [publicKey, secretKey] = [new Uint8Array(publicBytes), new Uint8Array(secretBytes)]
  make(publicKey, secretKey)
  return [publicKey, secretKey]
}

function fails(task: () => unknown): string {
  try {
    task()
  } catch {
    return 'failed'
  }
  return 'did not fail'
}

/** Bytes that differ from place to place. */
function bytes(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 167 + (i >> 8) * 13 + seed * 41 + 5) & 255
  return bytes
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** Long ones by their ends and a sum: they go through a page's console. */
function hex(bytes: Uint8Array): string {
  const text = (part: Uint8Array): string =>
    Array.from(part, (byte) => byte.toString(16).padStart(2, '0')).join('')
  if (bytes.length <= 256) return text(bytes)
  let sum = 0
  for (const byte of bytes) sum = (sum * 31 + byte) | 0
  return `${text(bytes.subarray(0, 64))}…${text(bytes.subarray(-64))} ${bytes.length} ${sum}`
}
