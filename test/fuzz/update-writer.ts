/** Writes Yjs V1 updates by hand, also ones that no Yjs would write. */
import * as encoding from 'lib0/encoding'
import { contentKinds } from '../../lib/trust/update-content.ts'

export type Id = readonly [client: number, clock: number]

export interface StructParts {
  readonly kind: number
  readonly origin?: Id
  readonly rightOrigin?: Id
  /** A root's name or a type's id; written where there is no origin. */
  readonly parent?: string | Id
  readonly key?: string
  readonly content?: (encoder: encoding.Encoder) => void
}

export interface UpdateParts {
  readonly client: number
  readonly clock?: number
  readonly structs?: readonly StructParts[]
  readonly deletes?: readonly (readonly [client: number, ...runs: (readonly [number, number])[]])[]
}

export function writeUpdate({
  client,
  clock = 0,
  structs = [],
  deletes = []
}: UpdateParts): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, structs.length > 0 ? 1 : 0)
    if (structs.length > 0) {
      encoding.writeVarUint(encoder, structs.length)
      encoding.writeVarUint(encoder, client)
      encoding.writeVarUint(encoder, clock)
      for (const struct of structs) writeStruct(encoder, struct)
    }
    encoding.writeVarUint(encoder, deletes.length)
    for (const [deleted, ...runs] of deletes) {
      encoding.writeVarUint(encoder, deleted)
      encoding.writeVarUint(encoder, runs.length)
      for (const run of runs) writeId(encoder, run)
    }
  })
}

function writeStruct(encoder: encoding.Encoder, struct: StructParts): void {
  const { kind, origin, rightOrigin, parent, key, content } = struct
  const flags = (origin ? 0x80 : 0) | (rightOrigin ? 0x40 : 0) | (key === undefined ? 0 : 0x20)
  encoding.writeUint8(encoder, kind | flags)
  if (origin) writeId(encoder, origin)
  if (rightOrigin) writeId(encoder, rightOrigin)
  if (!origin && !rightOrigin && kind !== contentKinds.gc) {
    const isRoot = typeof parent === 'string'
    encoding.writeVarUint(encoder, isRoot ? 1 : 0)
    if (isRoot) encoding.writeVarString(encoder, parent)
    else writeId(encoder, parent ?? [0, 0])
    if (key !== undefined) encoding.writeVarString(encoder, key)
  }
  content?.(encoder)
}

function writeId(encoder: encoding.Encoder, [client, clock]: Id): void {
  encoding.writeVarUint(encoder, client)
  encoding.writeVarUint(encoder, clock)
}

type Content = Pick<StructParts, 'kind' | 'content'>

/** Contents by what they hold. */
export const write = {
  gc: (length: number): Content => ({
    kind: contentKinds.gc,
    content: (encoder) => encoding.writeVarUint(encoder, length)
  }),
  deleted: (length: number): Content => ({
    kind: contentKinds.deleted,
    content: (encoder) => encoding.writeVarUint(encoder, length)
  }),
  string: (text: string): Content => ({
    kind: contentKinds.string,
    content: (encoder) => encoding.writeVarString(encoder, text)
  }),
  json: (...texts: string[]): Content => ({
    kind: contentKinds.json,
    content: (encoder) => {
      encoding.writeVarUint(encoder, texts.length)
      for (const text of texts) encoding.writeVarString(encoder, text)
    }
  }),
  binary: (bytes: Uint8Array): Content => ({
    kind: contentKinds.binary,
    content: (encoder) => encoding.writeVarUint8Array(encoder, bytes)
  }),
  embed: (json: string): Content => ({
    kind: contentKinds.embed,
    content: (encoder) => encoding.writeVarString(encoder, json)
  }),
  format: (key: string, json: string): Content => ({
    kind: contentKinds.format,
    content: (encoder) => {
      encoding.writeVarString(encoder, key)
      encoding.writeVarString(encoder, json)
    }
  }),
  type: (type: number, name?: string): Content => ({
    kind: contentKinds.type,
    content: (encoder) => {
      encoding.writeVarUint(encoder, type)
      if (name !== undefined) encoding.writeVarString(encoder, name)
    }
  }),
  any: (...values: unknown[]): Content => ({
    kind: contentKinds.any,
    content: (encoder) => {
      encoding.writeVarUint(encoder, values.length)
      for (const value of values) encoding.writeAny(encoder, value as encoding.AnyEncodable)
    }
  }),
  document: (guid: string, options: unknown): Content => ({
    kind: contentKinds.document,
    content: (encoder) => {
      encoding.writeVarString(encoder, guid)
      encoding.writeAny(encoder, options as encoding.AnyEncodable)
    }
  }),
  bytes: (kind: number, bytes: Uint8Array): Content => ({
    kind,
    content: (encoder) => encoding.writeUint8Array(encoder, bytes)
  }),
  raw: (kind: number, ...bytes: number[]): Content => write.bytes(kind, Uint8Array.from(bytes))
}
