/**
 * Connects members that are not connected yet through a peer that both are connected to: no server is needed, nor any
 * word of a person. Each device tells its peers whom it is connected to (see `presence-relay.ts`); of two that lack each
 * other, the one with the smaller key calls, by a transport that takes introductions, and the peer passes both lines on:
 *
 *     introduce := version(1 byte: 1) • kind(1 byte: 0 call, 1 answer, 2 no) • from(32) • to(32)
 *                  • number(varUint) • line(varString)
 *
 * Who passes it on sees addresses, and can let it come to nothing or change it: then the connection fails, since each end
 * of it proves its key itself. It passes on only what its author sent it on a connection of their own.
 */
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { decodeAll, fromHex, toHex } from '../bytes.ts'
import type { Clock } from '../platform.ts'
import type { Introduction, Transport } from '../transport.ts'
import type { DeviceId } from '../trust/members.ts'

const version = 1
const kinds = { call: 0, answer: 1, no: 2 } as const
const maxLineChars = 2_000
/** Calls under way at a time, the device's own in one space, and those of others that it answers in `answerMs`. */
const maxCalls = 4
const maxAnswers = 16
const maxAnswersToOne = 4
const answerMs = 30_000
/** Peers of a space beyond which no more are looked for; answered they are, up to twice as many. */
const enoughPeers = 32
/** Waits before calling, since other ways may be quicker, and calling again: doubling from the first to the last. */
const firstWaitMs = 500
const lastWaitMs = 60_000
/** After a connection that lasted so long, the waits begin with the first one again. */
const steadyMs = 10_000

/** A peer, as far as introductions go. */
export interface IntroducingPeer {
  readonly device: DeviceId
  sendIntroduction(bytes: Uint8Array): void
}

export interface IntroducerOptions {
  readonly clock: Clock
  readonly me: DeviceId
  readonly peers: () => readonly IntroducingPeer[]
  /** Is the device connected here, in whatever space? */
  readonly isConnected: (device: DeviceId) => boolean
  /** Whom a peer has said to be connected to. */
  readonly near: (peer: IntroducingPeer) => ReadonlySet<DeviceId>
  readonly isMember: (device: DeviceId) => boolean
  /** The first that takes introductions, or null. */
  readonly transport: () => Introducible | null
}

/** A transport that takes introductions. */
export type Introducible = Required<Pick<Transport, 'call' | 'answer'>>

/** The first of the transports that takes introductions, or null. */
export function introducible(transports: readonly Transport[]): Introducible | null {
  const found = transports.find((one) => one.call !== undefined && one.answer !== undefined)
  return (found as Introducible | undefined) ?? null
}

interface Message {
  readonly kind: number
  readonly from: DeviceId
  readonly to: DeviceId
  readonly number: number
  readonly line: string
}

/** What is under way to one device that is in reach. */
interface Call {
  /** Of the call that waits for its answer; 0 is none. */
  number: number
  introduction: Introduction | null
  /** How long to wait before the next call. */
  waitMs: number
  /** Cancels the wait for an answer, or before the next call. */
  cancel: (() => void) | null
  connectedAtMs: number | null
}

export class Introducer {
  readonly #options: IntroducerOptions
  readonly #callsByDevice = new Map<DeviceId, Call>()
  /** Whose calls were answered within `answerMs`. */
  readonly #answered: DeviceId[] = []
  #number = 0
  #isStopped = false

  constructor(options: IntroducerOptions) {
    this.#options = options
  }

  /** Peers came or went, or told whom they are connected to. */
  changed(): void {
    const { me, peers, near, isMember, isConnected, clock, transport } = this.#options
    if (this.#isStopped || transport() === null) return
    const reached = new Set(peers().flatMap((peer) => [...near(peer)]))
    for (const [device, call] of this.#callsByDevice) {
      if (!reached.has(device)) this.#forget(device, call)
    }
    for (const device of reached) {
      if (device <= me || !isMember(device)) continue
      let call = this.#callsByDevice.get(device)
      if (call === undefined) {
        call = {
          number: 0,
          introduction: null,
          waitMs: firstWaitMs,
          cancel: null,
          connectedAtMs: null
        }
        this.#callsByDevice.set(device, call)
      }
      if (isConnected(device)) {
        call.connectedAtMs ??= clock.now()
        this.#settle(call)
      } else if (call.connectedAtMs !== null || (call.number === 0 && call.cancel === null)) {
        const lasted = call.connectedAtMs === null ? 0 : clock.now() - call.connectedAtMs
        if (lasted >= steadyMs) call.waitMs = firstWaitMs
        call.connectedAtMs = null
        this.#callLater(device, call)
      }
    }
  }

  /** Takes what a peer sent, or passes it on. Fails with `BAD_ENCODING`: then that peer is to blame. */
  receive(peer: IntroducingPeer, bytes: Uint8Array): void {
    if (bytes[0] !== version) return
    const message = decode(bytes)
    const { me, isMember } = this.#options
    if (message.to !== me) {
      const next = this.#options.peers().find(({ device }) => device === message.to)
      if (message.from === peer.device) next?.sendIntroduction(bytes)
      return
    }
    if (message.from === me || !isMember(message.from) || this.#isStopped) return
    if (message.kind === kinds.call) void this.#answer(peer, message)
    else this.#takeAnswer(message)
  }

  stop(): void {
    this.#isStopped = true
    for (const [device, call] of this.#callsByDevice) this.#forget(device, call)
  }

  #callLater(device: DeviceId, call: Call): void {
    this.#settle(call)
    call.cancel = this.#options.clock.after(call.waitMs, () => {
      call.cancel = null
      void this.#call(device, call)
    })
    call.waitMs = Math.min(2 * call.waitMs, lastWaitMs)
  }

  async #call(device: DeviceId, call: Call): Promise<void> {
    const { me, clock, peers, near, isConnected } = this.#options
    const transport = this.#options.transport()
    if (isConnected(device) || transport === null) return this.changed()
    if (!this.#mayCall()) return this.#callLater(device, call)
    const number = (call.number = ++this.#number)
    try {
      const introduction = await transport.call()
      const through = peers().find((peer) => near(peer).has(device))
      if (call.number !== number || through === undefined) introduction.close()
      else {
        call.introduction = introduction
        const line = introduction.text
        through.sendIntroduction(encode({ kind: kinds.call, from: me, to: device, number, line }))
        call.cancel = clock.after(answerMs, () => {
          call.cancel = null
          introduction.close()
        })
        // Unanswered, or its connection has come to nothing: one that is used has been let go of before.
        await introduction.ended
      }
    } catch {
      // The transport's: it may go better another time.
    }
    if (call.number === number) this.#callLater(device, call)
  }

  async #answer(peer: IntroducingPeer, { from, number, line }: Message): Promise<void> {
    const { me, clock, peers } = this.#options
    const transport = this.#options.transport()
    const refuse = (): void =>
      peer.sendIntroduction(encode({ kind: kinds.no, from: me, to: from, number, line: '' }))
    const ofIts = this.#answered.filter((device) => device === from)
    const isTooMany =
      this.#answered.length >= maxAnswers ||
      ofIts.length >= maxAnswersToOne ||
      peers().length >= 2 * enoughPeers
    if (transport === null || isTooMany) return refuse()
    this.#answered.push(from)
    clock.after(answerMs, () => this.#answered.shift())
    try {
      const answer = await transport.answer(line, { timeoutMs: answerMs })
      peer.sendIntroduction(
        encode({ kind: kinds.answer, from: me, to: from, number, line: answer })
      )
    } catch {
      refuse() // It is no line of this transport's, or the transport is being closed.
    }
  }

  #takeAnswer({ kind, from, number, line }: Message): void {
    const call = this.#callsByDevice.get(from)
    if (call?.number !== number || call.introduction === null) return
    const { introduction } = call
    // What ends it has it called again, a while later.
    if (kind === kinds.answer) introduction.complete(line).catch(() => introduction.close())
    else introduction.close()
  }

  /** Waits for nothing any more. An introduction that has led to a connection is the transport's from then on. */
  #settle(call: Call): void {
    call.cancel?.()
    call.cancel = null
    call.number = 0
    call.introduction = null
  }

  #forget(device: DeviceId, call: Call): void {
    if (!this.#options.isConnected(device)) call.introduction?.close()
    this.#settle(call)
    this.#callsByDevice.delete(device)
  }

  #mayCall(): boolean {
    const running = [...this.#callsByDevice.values()].filter(({ number }) => number !== 0)
    return running.length < maxCalls && this.#options.peers().length < enoughPeers
  }
}

function encode({ kind, from, to, number, line }: Message): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8(encoder, version)
  encoding.writeUint8(encoder, kind)
  for (const device of [from, to]) encoding.writeUint8Array(encoder, fromHex(device))
  encoding.writeVarUint(encoder, number)
  encoding.writeVarString(encoder, line)
  return encoding.toUint8Array(encoder)
}

function decode(bytes: Uint8Array): Message {
  return decodeAll(bytes, 'introduction', (decoder) => {
    decoding.readUint8(decoder)
    const kind = decoding.readUint8(decoder)
    const [from, to] = [0, 1].map(() => toHex(decoding.readUint8Array(decoder, 32)))
    const number = decoding.readVarUint(decoder)
    const line = decoding.readVarString(decoder)
    if (kind > kinds.no || line.length > maxLineChars) throw new RangeError('No such introduction')
    return { kind, from: from!, to: to!, number, line }
  })
}
