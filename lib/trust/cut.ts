/**
 * The bodies of cuts and lifts, in Yjs's protocol notation:
 *
 *     cut       := device(32) • role(1) • varUint(n) • keep*n • (0 | 1 • cut name(32): the demotion that it builds on)
 *                  • varUint8Array(epoch)
 *     keep      := core(varUint: 0 control, 1 + k content k) • varUint(length) • treeHash(8)
 *     lift      := cut name(32)
 *     role      := 0 none · 1 mirror · 2 reader · 3 writer
 *
 * Of a log that is not named nothing is kept. A cut's name is the hash over its author, its place and its body.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, fromHex, readBytes, toHex } from '../bytes.ts'
import { hash } from '../crypto.ts'
import type { CoreName } from '../log/entry.ts'
import type { GrantedRole } from './control.ts'

const maxKeeps = 10_000

/** What a cut leaves of a role. */
export type CutRole = 'none' | Exclude<GrantedRole, 'admin'>

const cutRoles: readonly CutRole[] = ['none', 'mirror', 'reader', 'writer']

/** A prefix of a log that stays under the old role. */
export interface Keep {
  readonly core: CoreName
  readonly length: number
  /** The first 8 bytes of the log's tree hash at that length, in hex; of length 0: zeros. */
  readonly treeHash: string
}

export interface Cut {
  /** A signing key. */
  readonly device: Uint8Array
  readonly role: CutRole
  readonly keeps: readonly Keep[]
  /** The name of the cut that lowered the device's role below its author's, or null. */
  readonly demotion: string | null
  /** The body of the next epoch, or empty. */
  readonly epoch: Uint8Array
}

/** Names a cut: 32 bytes in hex. Nobody can name one that is not written yet, since its epoch's key is random. */
export function cutNameOf(author: string, seq: number, body: Uint8Array): string {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, seq)
  return toHex(hash('skein/cut', fromHex(author), encoding.toUint8Array(encoder), body))
}

export function encodeCut(cut: Cut): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8Array(encoder, cut.device)
  encoding.writeUint8(encoder, cutRoles.indexOf(cut.role))
  encoding.writeVarUint(encoder, cut.keeps.length)
  for (const { core, length, treeHash } of cut.keeps) {
    encoding.writeVarUint(encoder, core === 'control' ? 0 : 1 + contentNumberOf(core))
    encoding.writeVarUint(encoder, length)
    encoding.writeUint8Array(encoder, fromHex(treeHash))
  }
  encoding.writeUint8(encoder, cut.demotion === null ? 0 : 1)
  if (cut.demotion !== null) encoding.writeUint8Array(encoder, fromHex(cut.demotion))
  encoding.writeVarUint8Array(encoder, cut.epoch)
  return encoding.toUint8Array(encoder)
}

/** Fails with `BAD_ENCODING`, also where a log is named twice. */
export function decodeCut(bytes: Uint8Array): Cut {
  return decodeAll(bytes, 'cut', (decoder) => {
    const device = readBytes(decoder, 32)
    const role = cutRoles[decoding.readUint8(decoder)]
    if (role === undefined) throw new RangeError('An unknown role')
    const count = decoding.readVarUint(decoder)
    if (count > maxKeeps) throw new RangeError(`${count} prefixes`)
    const keeps = Array.from({ length: count }, () => readKeep(decoder))
    if (new Set(keeps.map(({ core }) => core)).size < count)
      throw new RangeError('A log is named twice')
    const hasDemotion = decoding.readUint8(decoder)
    if (hasDemotion > 1) throw new RangeError('Neither a demotion nor none')
    const demotion = hasDemotion === 1 ? toHex(decoding.readUint8Array(decoder, 32)) : null
    return {
      device,
      role,
      keeps,
      demotion,
      epoch: new Uint8Array(decoding.readVarUint8Array(decoder))
    }
  })
}

export function encodeLift(cutName: string): Uint8Array {
  return fromHex(cutName)
}

/** The name of the cut that ends. Fails with `BAD_ENCODING`. */
export function decodeLift(bytes: Uint8Array): string {
  return decodeAll(bytes, 'lift', (decoder) => toHex(decoding.readUint8Array(decoder, 32)))
}

/** The number of a content core. */
export function contentNumberOf(core: CoreName): number {
  return Number(core.slice('content/'.length))
}

function readKeep(decoder: decoding.Decoder): Keep {
  const code = decoding.readVarUint(decoder)
  return {
    core: code === 0 ? 'control' : `content/${code - 1}`,
    length: decoding.readVarUint(decoder),
    treeHash: toHex(decoding.readUint8Array(decoder, 8))
  }
}
