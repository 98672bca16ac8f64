/** The labels, keys and vectors of lib/trust/README.md are those of the code. */
import { readdir, readFile } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { toHex } from '../../lib/bytes.ts'
import { boxKeysFrom } from '../../lib/crypto.ts'
import { keyIdOf } from '../../lib/log/entry.ts'
import { logKeyOf } from '../../lib/log/log.ts'
import { spaceIdOf } from '../../lib/trust/control.ts'
import { cutNameOf } from '../../lib/trust/cut.ts'
import { pairingChannelId } from '../../lib/trust/invite.ts'
import {
  clientIdOf,
  documentIdOf,
  KeyRing,
  openHandedKeys,
  rendezvousOf,
  spaceChannelId,
  topicOf,
  topicSecretOf
} from '../../lib/trust/keys.ts'

const test = suite('keys')

const lib = new URL('../../lib/', import.meta.url)
const page = await readFile(new URL('trust/README.md', lib), 'utf8')

const bytes = (value: number, length = 32): Uint8Array => new Uint8Array(length).fill(value)
const space = bytes(0x11)
const spaceKey = bytes(0x22)
const device = bytes(0x33)
const handshake = bytes(0x44, 64)
const salt = bytes(0x55, 16)

const vectors: Record<string, string> = {
  'space id': toHex(spaceIdOf(space)),
  'name of a key': toHex(keyIdOf(space)),
  'key of the control log': toHex(logKeyOf({ space, device, core: 'control' })),
  'key of the content log': toHex(logKeyOf({ space, device, core: 'content/0' })),
  'document id': documentIdOf(space, 'notes'),
  'Yjs client id': String(clientIdOf(space, device, salt, 7)),
  'topic secret': toHex(topicSecretOf(spaceKey)),
  topic: toHex(topicOf(spaceKey)),
  'room for introductions': toHex(rendezvousOf(spaceKey).name),
  'key that seals introductions': toHex(rendezvousOf(spaceKey).key),
  'id of a space’s channel': toHex(spaceChannelId(spaceKey, handshake)),
  'name of a cut': cutNameOf(toHex(device), 7, new TextEncoder().encode('notes')),
  'id of a pairing channel': toHex(pairingChannelId(device, handshake))
}

test('the vectors are as they are written down', () => {
  const [, block = ''] = /```vectors\n(.*?)```/s.exec(page) ?? []
  const written = Object.entries(vectors).map(([name, value]) => `${name}: ${value}\n`)
  assert.is(block, written.join(''))
})

test('the page lists every label that the code uses, and no other', async () => {
  const used = new Set<string>()
  for (const path of await readdir(lib, { recursive: true })) {
    if (!path.endsWith('.ts')) continue
    const code = await readFile(new URL(path, lib), 'utf8')
    for (const [, label] of code.matchAll(/'(skein\/[a-z-]+)'/g)) used.add(label!)
  }
  const listed = new Set(page.match(/skein\/[a-z-]+/g))
  assert.equal([...listed].sort(), [...used].sort())
})

test('client ids are whole numbers below 2^52, another for each counter, salt, device and space', () => {
  const ids = new Set<number>()
  for (let counter = 0; counter < 1_000; counter++)
    ids.add(clientIdOf(space, device, salt, counter))
  ids.add(clientIdOf(device, device, salt, 0))
  ids.add(clientIdOf(space, space, salt, 0))
  ids.add(clientIdOf(space, device, bytes(0x56, 16), 0))
  assert.is(ids.size, 1_003)
  for (const id of ids) assert.ok(Number.isSafeInteger(id) && id >= 0 && id < 2 ** 52)
})

test('handed keys open for the device and space they were sealed for, and as what they are', () => {
  const box = boxKeysFrom(bytes(1))
  const ring = new KeyRing(space, spaceKey)
  const key = bytes(0x66)
  ring.addEpochKey(key)
  const handed = ring.sealFor('writer', device, box.publicKey)
  assert.equal(openHandedKeys(handed, space, device, box), { spaceKey, epochKeys: [key] })
  assert.is(openHandedKeys(handed, space, device, boxKeysFrom(bytes(2))), null)
  const isBad = (error: { code?: string }): boolean => error.code === 'BAD_ENCODING'
  assert.throws(() => openHandedKeys(handed, device, device, box), isBad)
  assert.throws(() => openHandedKeys(handed, space, space, box), isBad)
  const epoch = ring.sealEpochKeyTo(key, device, box.publicKey)
  assert.equal(ring.openEpochKey(epoch, device, box), key)
  assert.throws(() => openHandedKeys(epoch, space, device, box), isBad)
  assert.throws(() => ring.openEpochKey(handed, device, box), isBad)
})

test('sealed keys with any byte changed do not open', () => {
  const box = boxKeysFrom(bytes(1))
  const ring = new KeyRing(space, spaceKey)
  const [key, earlier] = [bytes(0x66), bytes(0x67)]
  ring.addEpochKey(key)
  ring.addEpochKey(earlier)
  const handed = ring.sealFor('writer', device, box.publicKey)
  const epoch = ring.sealEpochKeyTo(key, device, box.publicKey)
  const past = ring.sealEarlierKeys(key, (length) => bytes(0x68, length))
  assert.equal(ring.openEarlierKeys(key, past), [earlier])
  const changed = (sealed: Uint8Array, at: number): Uint8Array => {
    const copy = sealed.slice()
    copy[at]! ^= 1 << (at % 8)
    return copy
  }
  for (let at = 0; at < handed.length; at++)
    assert.is(openHandedKeys(changed(handed, at), space, device, box), null)
  for (let at = 0; at < epoch.length; at++)
    assert.is(ring.openEpochKey(changed(epoch, at), device, box), null)
  const isBadSeal = (error: { code?: string }): boolean => error.code === 'BAD_SEAL'
  for (let at = 0; at < past.length; at++)
    assert.throws(() => ring.openEarlierKeys(key, changed(past, at)), isBadSeal)
  assert.throws(() => ring.openEarlierKeys(earlier, past), isBadSeal)
})

test.run()
