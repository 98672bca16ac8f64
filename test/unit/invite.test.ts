/** Invites: their text, who is let in by them, and what those who are not get to see. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import Protomux from 'protomux'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { memory, MemoryNetwork } from '../../adapters/memory.ts'
import { platform as nodePlatform } from '../../adapters/node/platform.ts'
import { toHex } from '../../lib/bytes.ts'
import { boxKeysFrom, hash, signKeysFrom } from '../../lib/crypto.ts'
import { SkeinError, type DeviceKeys, type Platform, type SecureStream } from '../../lib/index.ts'
import { logKeyOf } from '../../lib/log/log.ts'
import { decodeSecrets } from '../../lib/secrets.ts'
import { PeerConnection } from '../../lib/sync/connection.ts'
import { askPairing } from '../../lib/sync/pairing.ts'
import { Standing } from '../../lib/sync/standing.ts'
import type { DeviceRecord } from '../../lib/trust/control.ts'
import {
  decodePairingAnswer,
  encodePairingAnswer,
  encodePairingRequest,
  formatInvite,
  inviteKeysOf,
  openPairingRequest,
  parseInvite,
  type Invite,
  type PairingAnswer
} from '../../lib/trust/invite.ts'
import { spaceChannelId, topicOf } from '../../lib/trust/keys.ts'
import { deadline, eventually, once } from '../events.ts'
import {
  device,
  joinAs,
  rejects,
  spaceOf,
  until,
  waitMs,
  whenPeer,
  whenSynced,
  whenText,
  type Device
} from '../devices.ts'

const test = suite('invite')

const invite: Invite = {
  space: new Uint8Array(32).fill(1),
  topicSecret: new Uint8Array(32).fill(2),
  seed: new Uint8Array(32).fill(3),
  role: 'writer',
  expiresAtMs: Date.UTC(2026, 0, 1),
  hints: ['127.0.0.1:49737', 'wss://peer.example']
}

function isInvalid(error: unknown): boolean {
  return error instanceof SkeinError && error.code === 'INVITE_INVALID'
}

function isBad(error: unknown): boolean {
  return error instanceof SkeinError && ['BAD_ENCODING', 'BAD_SEAL'].includes(error.code)
}

// The text

test('an invite is one line of these characters', () => {
  assert.is(
    formatInvite(invite),
    'skein:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwOA0Oq2tzMCDzEyNy4wLjAuMTo0OTczNxJ3c3M6Ly9wZWVyLmV4YW1wbGVxn_eI'
  )
})

test('what was written into an invite is read out of it, white space around it forgiven', () => {
  for (const one of [
    invite,
    { ...invite, role: 'admin' as const, expiresAtMs: 0, hints: [] },
    { ...invite, role: 'mirror' as const, hints: ['é'.repeat(100)] }
  ]) {
    assert.equal(parseInvite(formatInvite(one)), one)
    assert.equal(parseInvite(`\n  ${formatInvite(one)}\t\n`), one)
  }
})

test('an invite with any character mistyped, left out or added is refused', () => {
  const text = formatInvite(invite)
  for (let at = 0; at < text.length; at++) {
    const other = text[at] === 'A' ? 'B' : 'A'
    assert.throws(() => parseInvite(text.slice(0, at) + other + text.slice(at + 1)), isInvalid)
    assert.throws(() => parseInvite(text.slice(0, at) + text.slice(at + 1)), isInvalid)
    assert.throws(() => parseInvite(text.slice(0, at)), isInvalid)
  }
  assert.throws(() => parseInvite(text + 'A'), isInvalid)
})

test('what is no invite, or one of another version, is refused', () => {
  const bytes = Buffer.from(formatInvite(invite).slice('skein:'.length), 'base64url')
  const body = new Uint8Array(bytes.subarray(0, -4))
  const sealed = (edit: (bytes: Uint8Array) => Uint8Array): string => {
    const edited = edit(new Uint8Array(body))
    const checksum = hash('skein/invite-checksum', edited).subarray(0, 4)
    return 'skein:' + Buffer.from([...edited, ...checksum]).toString('base64url')
  }
  assert.equal(parseInvite(sealed((same) => same)), invite)
  const texts = [
    '',
    'skein:',
    'https://example.org/',
    'skein:AAAA',
    'skein:' + 'A'.repeat(10_000),
    sealed((bytes) => bytes.fill(2, 0, 1)),
    sealed((bytes) => bytes.fill(9, 97, 98)),
    sealed((bytes) => bytes.subarray(0, 100)),
    sealed((bytes) => new Uint8Array([...bytes, 0])),
    sealed(() => new Uint8Array())
  ]
  for (const text of texts) assert.throws(() => parseInvite(text), isInvalid, text.slice(0, 40))
})

// Proof and answer

const bobSeed = new Uint8Array(32).fill(8)
const bobRecord: DeviceRecord = {
  signKey: signKeysFrom(bobSeed).publicKey,
  boxKey: boxKeysFrom(bobSeed).publicKey,
  salt: new Uint8Array(16).fill(4),
  name: 'bob',
  person: 'bob'
}
const handshake = new Uint8Array(64).fill(5)

test('a request opens for its own space, invite and connection, and any byte changed it does not', () => {
  const { publicKey } = inviteKeysOf(invite)
  const request = encodePairingRequest(invite, bobRecord, handshake)
  assert.equal(openPairingRequest(request, invite.space, publicKey, handshake), bobRecord)
  const other = new Uint8Array(32).fill(9)
  assert.throws(() => openPairingRequest(request, other, publicKey, handshake), isBad)
  assert.throws(() => openPairingRequest(request, invite.space, other, handshake), isBad)
  assert.throws(() => openPairingRequest(request, invite.space, publicKey, other), isBad)
  for (let at = 0; at < request.length; at++) {
    const tampered = new Uint8Array(request)
    tampered[at]! ^= 1
    assert.throws(() => openPairingRequest(tampered, invite.space, publicKey, handshake), isBad)
  }
})

test('answers are read as they were written, and an unknown refusal is a refusal', () => {
  const answers: PairingAnswer[] = [
    { genesis: new Uint8Array([1, 2, 3]), spaceKey: new Uint8Array(32).fill(6) },
    { refused: 'INVITE_EXPIRED' },
    { refused: 'INVITE_USED_UP' },
    { refused: 'INVITE_REVOKED' }
  ]
  for (const answer of answers)
    assert.equal(decodePairingAnswer(encodePairingAnswer(answer)), answer)
  const unknown = encodePairingAnswer({ refused: 'DISK_FULL' })
  assert.equal(decodePairingAnswer(unknown), { refused: 'INVITE_REFUSED' })
  for (const bad of [new Uint8Array(), new Uint8Array([0, 3, 1]), new Uint8Array([2, 0])]) {
    assert.throws(() => decodePairingAnswer(bad), isBad)
  }
})

// Joining

test('who joins has the role of the invite, and everyone sees it', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  assert.is((await joinAs(space, bob, { role: 'admin' })).role, 'admin')
  assert.is((await joinAs(space, carol, { role: 'reader' })).role, 'reader')
  assert.is(bob.space.name, 'Notes')
  assert.is(bob.space.id, space.id)
  for (const { space: seen, id } of [alice, bob, carol]) {
    await until(
      (listener) => seen.on('members', listener),
      () => seen.members().length === 3
    )
    const roles = seen.members().map(({ name, role }) => `${name} ${role}`)
    assert.equal(roles, ['alice owner', 'bob admin', 'carol reader'])
    assert.equal(
      seen
        .members()
        .filter(({ isThisDevice }) => isThisDevice)
        .map((one) => one.device),
      [id]
    )
  }
  assert.not(bob.space.readOnly)
  assert.ok(carol.space.readOnly)
})

test('who may not grant a role may not invite to it', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const atBob = await joinAs(space, bob, { role: 'admin' })
  const atCarol = await joinAs(space, carol)
  await rejects(atBob.invite({ role: 'admin' }), 'NOT_ALLOWED')
  await rejects(atCarol.invite({ role: 'reader' }), 'NOT_ALLOWED')
  assert.is(parseInvite(await atBob.invite()).role, 'writer')
})

test('an invite for one lets one in, though two race for it', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const text = await space.invite()
  const joins = await Promise.allSettled(
    [bob, carol].map(({ skein }) => skein.join(text, { timeoutMs: waitMs }))
  )
  const failed = joins.filter((one) => one.status === 'rejected')
  assert.is(failed.length, 1)
  assert.is((failed[0]!.reason as SkeinError).code, 'INVITE_USED_UP')
  assert.is(space.members().length, 2)
})

test('an invite for two lets two in and no third', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  await using dave = await device('dave', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const text = await space.invite({ uses: 2 })
  for (const { skein } of [bob, carol]) await skein.join(text, { timeoutMs: waitMs })
  await rejects(dave.skein.join(text), 'INVITE_USED_UP')
  assert.is(await bob.skein.join(text), bob.space)
})

test('an old invite still lets in when there are many newer ones', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  await joinAs(space, carol)
  const text = await space.invite()
  // Those that have expired must not be in its way.
  for (let i = 0; i < 70; i++) await space.invite({ expiresInMs: 0.001 })
  await deadline(bob.skein.join(text, { timeoutMs: waitMs }), waitMs, 'bob joins')
})

test('the clock of the one who admits decides whether an invite has expired', async () => {
  const network = new MemoryNetwork()
  const clocks = { alice: shiftedClock(), bob: shiftedClock() }
  await using alice = await device('alice', network, { clock: clocks.alice })
  await using bob = await device('bob', network, { clock: clocks.bob })
  await using carol = await device('carol', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const text = await space.invite({ expiresInMs: 60_000, uses: 2 })
  // Bob's clock is years ahead, and says nothing.
  clocks.bob.shiftMs = 10 * 365 * 86_400_000
  await bob.skein.join(text, { timeoutMs: waitMs })
  clocks.alice.shiftMs = 61_000
  await rejects(carol.skein.join(text, { timeoutMs: waitMs }), 'INVITE_EXPIRED')
  assert.equal(carol.skein.spaces(), [])
})

function shiftedClock(): Platform['clock'] & { shiftMs: number } {
  const { clock } = nodePlatform
  return {
    ...clock,
    shiftMs: 0,
    now() {
      return clock.now() + this.shiftMs
    }
  }
}

test('joining fails when nobody who may admit answers in time, or the signal fires', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const text = await space.invite()
  const expired = await space.invite({ expiresInMs: 1 })
  await alice.skein.close()
  await rejects(bob.skein.join(text, { timeoutMs: 50 }), 'INVITE_UNANSWERED')
  await eventually(() => Date.now() > parseInvite(expired).expiresAtMs)
  await rejects(bob.skein.join(expired, { timeoutMs: 50 }), 'INVITE_EXPIRED')
  const stop = new AbortController()
  const aborted = rejects(bob.skein.join(text, { signal: stop.signal }), 'ABORTED')
  stop.abort()
  await aborted
  await rejects(bob.skein.join(text, { signal: AbortSignal.abort() }), 'ABORTED')
  await rejects(bob.skein.join('skein:nothing'), 'INVITE_INVALID')
  await alice.start()
  await deadline(bob.skein.join(text, { timeoutMs: waitMs }), waitMs, 'bob joins all the same')
})

test('joining twice at once gives one space', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const text = await space.invite()
  const joins = [1, 2].map(() => bob.skein.join(text, { timeoutMs: waitMs }))
  const [first, second] = await deadline(Promise.all(joins), waitMs, 'bob joins')
  assert.is(first, second)
  assert.equal(bob.skein.spaces(), [first])
})

test('a join under way fails with CLOSED when the device is closed', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const text = await space.invite()
  await alice.skein.close()
  const joining = rejects(bob.skein.join(text), 'CLOSED')
  await bob.skein.close()
  await joining
})

test('after a join that failed, the device no longer looks for the space', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const text = await space.invite()
  await alice.skein.close()
  await rejects(bob.skein.join(text, { timeoutMs: 50 }), 'INVITE_UNANSWERED')
  let met = 0
  bob.skein.on('connection', () => met++)
  await alice.start()
  await using carol = await device('carol', network)
  await joinAs(alice.space, carol)
  assert.is(met, 0)
})

test('an admin lets in while the owner is away, also by the owner’s invite', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  await using dave = await device('dave', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const atBob = await joinAs(space, bob, { role: 'admin' })
  const byAlice = await space.invite()
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'alice')
  await deadline(space.saved({ peers: 1 }), waitMs, 'bob holds it')
  await alice.skein.close()
  await deadline(carol.skein.join(byAlice, { timeoutMs: waitMs }), waitMs, 'carol joins')
  await joinAs(atBob, dave)
  const atCarol = await carol.space.open('ideas')
  await whenText(atCarol.doc, 'alice')
  atCarol.doc.getText('body').insert(5, ', carol')
  await deadline(atCarol.saved({ peers: 1 }), waitMs, 'bob holds it')
  await bob.skein.close()
  await carol.skein.close()
  await dave.skein.close()
  await alice.start()
  await bob.start()
  await whenText((await alice.space.open('ideas')).doc, 'alice, carol')
  assert.is(alice.space.members().length, 4)
})

// Crashes on the way

test('who lost the answer to its request on the way joins again by the same invite', async () => {
  const network = new MemoryNetwork()
  let isFailing = false
  const openStorage: Platform['openStorage'] = async (location) => {
    const storage = await nodePlatform.openStorage(location)
    const write = storage.writeSecrets.bind(storage)
    storage.writeSecrets = async (bytes) => {
      if (isFailing) throw new SkeinError('DISK_FULL', 'A test’s disk is full')
      await write(bytes)
    }
    return storage
  }
  await using alice = await device('alice', network)
  await using bob = await device('bob', network, { openStorage })
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const text = await space.invite()
  isFailing = true
  // Alice has let him in, and he could not keep what she answered.
  await rejects(bob.skein.join(text, { timeoutMs: waitMs }), 'DISK_FULL')
  assert.is(space.members().length, 2)
  isFailing = false
  await bob.restart()
  assert.equal(bob.skein.spaces(), [])
  await deadline(bob.skein.join(text, { timeoutMs: waitMs }), waitMs, 'bob joins')
  assert.is(bob.space.role, 'writer')
  assert.is(space.members().length, 2)
})

test('who was let in and went away before its keys had come goes on where it was', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const text = await space.invite()
  // The grant is written, and nothing more comes.
  space.on('members', () => network.pause())
  await rejects(bob.skein.join(text, { timeoutMs: 200 }), 'INVITE_UNANSWERED')
  await bob.skein.close()
  network.heal()
  await bob.start()
  await deadline(bob.skein.join(text, { timeoutMs: waitMs }), waitMs, 'bob joins')
  assert.is(space.members().length, 2)
})

// Strangers

/** A device that speaks the transport's language, and whatever a test makes it say. */
class Stranger implements AsyncDisposable {
  readonly #transport
  readonly keys: DeviceKeys
  readonly #invites: Uint8Array[] = []
  #connection!: PeerConnection
  stream!: SecureStream

  constructor(network: MemoryNetwork, keys: DeviceKeys) {
    this.#transport = memory(network)
    this.keys = keys
  }

  /** Meets a device that is in the topic. */
  async meet(topic: Uint8Array, other: Device): Promise<this> {
    const connected = once<{ stream: SecureStream }>(
      (listener) =>
        this.#transport.on('connection', (connection) => {
          if (toHex(connection.stream.remotePublicKey) === other.id) listener(connection)
        }),
      waitMs,
      'a connection'
    )
    await this.#transport.open(this.keys)
    await this.#transport.join(topic)
    this.stream = (await connected).stream
    const { clock } = nodePlatform
    this.#connection = new PeerConnection(this.stream, 'memory', {
      clock,
      standing: new Standing(clock),
      onError: (_, error) => assert.unreachable(error.message),
      randomBytes: (length) => nodePlatform.randomBytes(length),
      keys: () => this.#invites
    })
    return this
  }

  /** Asks to be let in; the answers come in order, so an answer also tells that what was sent before was looked at. */
  ask(by: Invite, request: Uint8Array): Promise<PairingAnswer> {
    const { publicKey } = inviteKeysOf(by)
    this.#invites.push(publicKey)
    return new Promise((resolve) => {
      const onAnswer = (bytes: Uint8Array): void => resolve(decodePairingAnswer(bytes))
      askPairing(this.#connection, publicKey, request, onAnswer)
      this.#connection.greeting.greet()
    })
  }

  /** Opens a channel on its side; says whether the other has opened its own, when asked. */
  tryToOpen(protocol: string, id: Uint8Array): () => boolean {
    const channel = Protomux.from(this.stream).createChannel({ protocol, id })!
    channel.open()
    return () => channel.opened
  }

  get record(): DeviceRecord {
    return { ...bobRecord, signKey: this.keys.publicKey, name: 'mallory' }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport.close()
  }
}

function discoveryKeyOf(key: Uint8Array): Promise<Uint8Array> {
  return import('hypercore').then(({ default: Hypercore }) => {
    return (Hypercore as unknown as { discoveryKey(key: Uint8Array): Uint8Array }).discoveryKey(key)
  })
}

/** Tries each log of a device in a space, knowing its key. */
async function tryLogs(
  stranger: Stranger,
  space: Uint8Array,
  of: Device
): Promise<(() => boolean)[]> {
  const tries: (() => boolean)[] = []
  for (const core of ['control', 'content/0'] as const) {
    const id = await discoveryKeyOf(logKeyOf({ space, device: of.key, core }))
    tries.push(stranger.tryToOpen('hypercore/alpha', id))
  }
  return tries
}

test('a stranger who knows the topic, and even the logs’ keys, gets no channel and no log', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const known = parseInvite(await space.invite({ uses: 9 }))
  await joinAs(space, bob)
  const keys = signKeysFrom(new Uint8Array(32).fill(0x66))
  await using mallory = await new Stranger(network, keys).meet(topicOf(known.topicSecret), alice)
  const { handshakeHash } = mallory.stream
  const tries = [
    ...(await tryLogs(mallory, known.space, alice)),
    ...(await tryLogs(mallory, known.space, bob)),
    mallory.tryToOpen('skein/space/1', spaceChannelId(new Uint8Array(32), handshakeHash)),
    mallory.tryToOpen('skein/space/1', new Uint8Array(32)),
    mallory.tryToOpen('skein/pair/1', new Uint8Array(32))
  ]
  // What all this came to is known once she is answered who does have an invite, on the same connection.
  const forged = encodePairingRequest(known, { ...mallory.record, signKey: bob.key }, handshakeHash)
  const refused = once<{ error: SkeinError }>(
    (listener) => space.on('peer-error', listener),
    waitMs,
    'an error'
  )
  void mallory.ask(known, forged)
  assert.is((await refused).error.code, 'BAD_SEAL')
  for (const isOpen of tries) assert.not(isOpen())
  assert.is(space.members().length, 2)
  assert.equal(space.peers, [bob.id])
})

test('a request that was meant for another connection is not answered', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  const space = await alice.skein.createSpace({ name: 'Notes' })
  const known = parseInvite(await space.invite())
  const keys = signKeysFrom(new Uint8Array(32).fill(0x66))
  await using mallory = await new Stranger(network, keys).meet(topicOf(known.topicSecret), alice)
  const elsewhere = encodePairingRequest(known, mallory.record, handshake)
  const refused = once<{ error: SkeinError; device: string }>(
    (listener) => space.on('peer-error', listener),
    waitMs,
    'an error'
  )
  void mallory.ask(known, elsewhere)
  const { error, device: blamed } = await refused
  assert.is(error.code, 'BAD_SEAL')
  assert.is(blamed, toHex(keys.publicKey))
  assert.is(space.members().length, 1)
  assert.not(mallory.stream.destroyed)
})

test('who has left gets nothing, though it knows the space key and who is in', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, carol)
  const known = parseInvite(await space.invite())
  await bob.skein.join(formatInvite(known), { timeoutMs: waitMs })
  const secrets = decodeSecrets(new Uint8Array(await readFile(join(bob.folder, 'secrets'))))
  await bob.space.leave()
  await bob.skein.close()
  await until(
    (listener) => space.on('members', listener),
    () => space.members().length === 2
  )
  const keys = signKeysFrom(secrets.signSeed)
  await using ghost = await new Stranger(network, keys).meet(topicOf(known.topicSecret), alice)
  const { handshakeHash } = ghost.stream
  const { spaceKey } = secrets.spaces[0]!
  const tries = [
    ...(await tryLogs(ghost, known.space, alice)),
    ...(await tryLogs(ghost, known.space, carol))
  ]
  ghost.tryToOpen('skein/space/1', spaceChannelId(spaceKey, handshakeHash))
  const request = encodePairingRequest(known, ghost.record, handshakeHash)
  const answer = await deadline(ghost.ask(known, request), waitMs, 'an answer')
  assert.equal(answer, { refused: 'INVITE_USED_UP' })
  for (const isOpen of tries) assert.not(isOpen())
  assert.equal(space.peers, [carol.id])
})

test('who leaves, and stays on the line, is served no longer', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  await whenSynced(bob.space)
  const logs = (): number =>
    alice.channelsTo(bob).filter(({ protocol, opened }) => opened && protocol === 'hypercore/alpha')
      .length
  await eventually(() => logs() === 4)
  const { space: left } = bob
  left.close = async () => {} // It says that it leaves, and does not go.
  await left.leave().catch(() => {})
  await whenPeer(space, bob, false)
  await eventually(() => logs() === 0)
  assert.not(alice.streamTo(bob).destroyed)
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'among ourselves')
  await note.saved()
  assert.equal(left.documents(), [])
  delete (left as Partial<typeof left>).close
})

test('open invites are listed, and one that is taken back lets nobody in', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice)
  const first = await space.invite({ role: 'reader', uses: 2 })
  const second = await space.invite({ expiresInMs: 60_000 })
  await deadline(bob.skein.join(first, { timeoutMs: waitMs }), waitMs, 'bob joins')
  const [newest, oldest, ...none] = await space.invites()
  assert.equal(none, [])
  assert.is(newest?.role, 'writer')
  assert.ok(newest!.expiresAtMs! > Date.now())
  assert.equal(
    { ...oldest, id: '' },
    { id: '', role: 'reader', usesLeft: 1, expiresAtMs: null, issuer: alice.id }
  )
  await rejects(bob.space.revokeInvite(second), 'NOT_ALLOWED')
  await rejects(space.revokeInvite('00'.repeat(32)), 'INVITE_INVALID')
  await space.revokeInvite(second)
  await space.revokeInvite(oldest!.id)
  assert.equal(await space.invites(), [])
  await rejects(carol.skein.join(first, { timeoutMs: waitMs }), 'INVITE_REVOKED')
  await rejects(carol.skein.join(second, { timeoutMs: waitMs }), 'INVITE_REVOKED')
  assert.is(bob.space.role, 'reader')
})

test.run()
