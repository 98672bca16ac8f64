/**
 * Introduction by hand: what two devices have to tell each other fits into a line each, since all of an SDP but user
 * fragment, password, fingerprint, role and candidates is the same every time. The line, after its prefix in base64url:
 *
 *     line      := uint8(0: call, 1: answer) • text(ufrag) • text(pwd) • byteArray[32](SHA-256 fingerprint) • candidate*
 *     candidate := uint8(kind: 0 IPv4, 1 IPv6, 2 mDNS, and 4 more where a STUN server saw it) • address • uint16(port)
 *     text      := uint8(length) • ASCII
 *
 * Addresses have 4 or 16 bytes; an mDNS name is a UUID. Relayed and TCP candidates are left out. Two devices that only
 * have mDNS candidates (a browser without STUN server has no others) meet in one network.
 */
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { fromBase64UrlEncoded, toBase64UrlEncoded } from 'lib0/buffer'
import { SkeinError, type Introduction } from '../../lib/index.ts'
import { openChannel, type RawStream, type StreamOver } from './channel.ts'
import type { RtcDescription, RtcEngine, RtcPeerConnection } from './rtc.ts'

const prefix = 'skein-rtc:'
const kinds = { call: 0, answer: 1 } as const
/** Servers that do not answer are not waited for any longer. */
const gatheringMs = 2_000
const maxCandidates = 8
/** Given up when nobody has answered by then. */
export const unansweredMs = 15 * 60_000
const openingMs = 30_000

/** What the two ends of an introduction have in common. */
export interface ByHand<S extends RawStream> {
  readonly engine: RtcEngine
  readonly configuration: object
  readonly streamOver: StreamOver<S>
  readonly onStream: (stream: S) => void
}

export async function callByHand<S extends RawStream>(by: ByHand<S>): Promise<Introduction> {
  const { connection, ended, close, expect } = begin(by)
  expect(unansweredMs)
  await connection.setLocalDescription(await connection.createOffer())
  const text = await lineOf(connection, kinds.call)
  return {
    text,
    ended,
    close,
    async complete(answer) {
      await connection.setRemoteDescription(descriptionOf(answer, kinds.answer))
      expect(openingMs)
    }
  }
}

export async function answerByHand<S extends RawStream>(
  by: ByHand<S>,
  text: string,
  timeoutMs: number
): Promise<Omit<Introduction, 'complete'>> {
  const offer = descriptionOf(text, kinds.call)
  const { connection, ended, close, expect } = begin(by)
  expect(timeoutMs)
  await connection.setRemoteDescription(offer)
  await connection.setLocalDescription(await connection.createAnswer())
  return { text: await lineOf(connection, kinds.answer), ended, close }
}

function begin<S extends RawStream>({ engine, configuration, streamOver, onStream }: ByHand<S>) {
  const connection = new engine.RTCPeerConnection(configuration)
  let timer: ReturnType<typeof setTimeout> | undefined
  let end: () => void = () => {}
  const ended = new Promise<void>((resolve) => (end = resolve))
  const { stream, opened } = openChannel(connection, streamOver, () => {
    clearTimeout(timer)
    connection.close()
    end()
  })
  void opened.then((isOpen) => {
    clearTimeout(timer)
    if (isOpen) onStream(stream)
  })
  connection.addEventListener('connectionstatechange', () => {
    if (connection.connectionState === 'failed') stream.destroy()
  })
  const close = (): void => {
    stream.destroy()
  }
  const expect = (ms: number): void => {
    clearTimeout(timer)
    timer = setTimeout(close, ms)
  }
  return { connection, ended, close, expect }
}

/** What the other device has to know, once the candidates are there. */
async function lineOf(connection: RtcPeerConnection, kind: number): Promise<string> {
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (connection.iceGatheringState === 'complete') resolve()
    }
    connection.addEventListener('icegatheringstatechange', look)
    setTimeout(resolve, gatheringMs)
    look()
  })
  return encodeLine(kind, connection.localDescription!.sdp)
}

function encodeLine(kind: number, sdp: string): string {
  const encoder = encoding.createEncoder()
  encoding.writeUint8(encoder, kind)
  for (const name of ['ice-ufrag', 'ice-pwd']) {
    const text = new TextEncoder().encode(attributeOf(sdp, name))
    encoding.writeUint8(encoder, text.length)
    encoding.writeUint8Array(encoder, text)
  }
  const fingerprint = attributeOf(sdp, 'fingerprint')
    .replace(/^sha-256 /i, '')
    .split(':')
  encoding.writeUint8Array(
    encoder,
    Uint8Array.from(fingerprint, (digits) => parseInt(digits, 16))
  )
  let count = 0
  const lines = sdp.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ (host|srflx)/gim)
  for (const [, address = '', port, type] of lines) {
    const found = encodeAddress(address)
    if (found === null || count++ >= maxCandidates) continue
    encoding.writeUint8(encoder, found.kind + (type === 'srflx' ? 4 : 0))
    encoding.writeUint8Array(encoder, found.bytes)
    encoding.writeUint16(encoder, Number(port))
  }
  return prefix + toBase64UrlEncoded(encoding.toUint8Array(encoder))
}

/** The SDP that says the same. Fails with `BAD_ENCODING`. */
function descriptionOf(text: string, wanted: number): RtcDescription {
  const what = wanted === kinds.call ? 'introduction' : 'answer to an introduction'
  try {
    const line = text.trim()
    if (!line.startsWith(prefix) || line.length > 2_000) throw new RangeError('It begins otherwise')
    const bytes = fromBase64UrlEncoded(line.slice(prefix.length))
    return decode(decoding.createDecoder(Uint8Array.from(bytes)), wanted)
  } catch (cause) {
    throw new SkeinError('BAD_ENCODING', `This is no ${what}`, { cause })
  }
}

function decode(decoder: decoding.Decoder, wanted: number): RtcDescription {
  if (decoding.readUint8(decoder) !== wanted) throw new RangeError('It is the other part')
  const [ufrag, password] = [readIceText(decoder), readIceText(decoder)]
  const fingerprint = [...decoding.readUint8Array(decoder, 32)].map(hexOf).join(':').toUpperCase()
  const candidates: string[] = []
  while (decoding.hasContent(decoder)) {
    const kind = decoding.readUint8(decoder)
    const address = readAddress(decoder, kind & 3)
    const port = decoding.readUint16(decoder)
    if (kind > 7 || port === 0 || candidates.length >= maxCandidates)
      throw new RangeError('candidate')
    const isSeen = kind >= 4
    const priority = (isSeen ? 100 : 126) * 2 ** 24 + (65_535 - candidates.length) * 256 + 255
    const type = isSeen ? 'srflx raddr 0.0.0.0 rport 0' : 'host'
    candidates.push(
      `a=candidate:${candidates.length + 1} 1 udp ${priority} ${address} ${port} typ ${type}`
    )
  }
  const sdp = [
    'v=0',
    'o=- 1 2 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    ...candidates,
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${password}`,
    `a=fingerprint:sha-256 ${fingerprint}`,
    `a=setup:${wanted === kinds.call ? 'actpass' : 'active'}`,
    'a=mid:0',
    'a=sctp-port:5000',
    'a=max-message-size:262144',
    ''
  ]
  return { type: wanted === kinds.call ? 'offer' : 'answer', sdp: sdp.join('\r\n') }
}

function attributeOf(sdp: string, name: string): string {
  const [, value] = new RegExp(`^a=${name}:(.+?)\\r?$`, 'm').exec(sdp) ?? []
  if (value === undefined) throw new SkeinError('TRANSPORT_FAILED', `An SDP without ${name}`)
  return value
}

/** Nothing but what ICE allows: it goes into an SDP as it is. */
function readIceText(decoder: decoding.Decoder): string {
  const length = decoding.readUint8(decoder)
  const text = new TextDecoder().decode(decoding.readUint8Array(decoder, length))
  if (!/^[A-Za-z0-9+/]{4,255}$/.test(text)) throw new RangeError('No characters of ICE')
  return text
}

const uuid = /^([\da-f]{8})-([\da-f]{4})-([\da-f]{4})-([\da-f]{4})-([\da-f]{12})\.local$/i

function encodeAddress(address: string): { kind: number; bytes: Uint8Array } | null {
  const name = uuid.exec(address)
  if (name !== null) return { kind: 2, bytes: bytesOf(name.slice(1).join('')) }
  if (/^\d+\.\d+\.\d+\.\d+$/.test(address)) {
    return { kind: 0, bytes: Uint8Array.from(address.split('.'), Number) }
  }
  // A URL writes an IPv6 address in full or not at all; so count what `::` stands for.
  const [head = '', tail] = address.split('::')
  const [before, after] = [groupsOf(head), groupsOf(tail ?? '')]
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  const groups = tail === undefined ? before : [...before, ...zeros, ...after]
  if (groups.length !== 8 || !groups.every((group) => /^[\da-f]{1,4}$/i.test(group))) return null
  return { kind: 1, bytes: bytesOf(groups.map((group) => group.padStart(4, '0')).join('')) }
}

function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':')
}

function readAddress(decoder: decoding.Decoder, kind: number): string {
  if (kind === 0) return decoding.readUint8Array(decoder, 4).join('.')
  const digits = [...decoding.readUint8Array(decoder, 16)].map(hexOf).join('')
  if (kind === 1) return digits.match(/.{4}/g)!.join(':')
  if (kind !== 2) throw new RangeError('No kind of address')
  const parts = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/.exec(digits)!
  return `${parts.slice(1).join('-')}.local`
}

function bytesOf(digits: string): Uint8Array {
  return Uint8Array.from(digits.match(/../g)!, (pair) => parseInt(pair, 16))
}

function hexOf(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
