/**
 * The body of an edit, one Yjs update of one document, and of an import, content that was made elsewhere (`flatten.ts`). In
 * Yjs's notation:
 *
 *     edit      := document(8) • varUint(client counter) • varString(name or '') • update V1
 *     import    := varString(name) • update V1 of client 0
 *
 * The document's id is derived from its name; the name stands in the first entry that its author writes to a document
 * it knows no name for. The counter is part of what the author's Yjs client id is made of.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { fromHex, toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import { kinds } from '../log/entry.ts'
import { documentIdOf, importIdOf } from '../trust/keys.ts'

export const maxNameChars = 1000

export interface Edit {
  /** 8 bytes in hex. */
  readonly document: string
  readonly clientCounter: number
  readonly name: string | null
  readonly update: Uint8Array
  /** The Yjs client id of an import, which is nobody's. */
  readonly importId?: number
}

export function encodeEdit(edit: Edit): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8Array(encoder, fromHex(edit.document))
  encoding.writeVarUint(encoder, edit.clientCounter)
  encoding.writeVarString(encoder, edit.name ?? '')
  encoding.writeUint8Array(encoder, edit.update)
  return encoding.toUint8Array(encoder)
}

/** Fails with `BAD_ENCODING`, also where the name is not the one that the id is made of. */
export function decodeEdit(body: Uint8Array, space: Uint8Array): Edit {
  const decoder = decoding.createDecoder(body)
  try {
    const document = toHex(decoding.readUint8Array(decoder, 8))
    const clientCounter = decoding.readVarUint(decoder)
    const name = decoding.readVarString(decoder)
    if (name.length > maxNameChars) throw new RangeError(`A name of ${name.length} characters`)
    if (name !== '' && documentIdOf(space, name) !== document) throw new RangeError('Another name')
    const update = decoding.readTailAsUint8Array(decoder)
    return { document, clientCounter, name: name === '' ? null : name, update }
  } catch (cause) {
    throw new SkeinError('BAD_ENCODING', 'Not a valid edit', { cause })
  }
}

export function encodeImport({ name, update }: { name: string; update: Uint8Array }): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarString(encoder, name)
  encoding.writeUint8Array(encoder, update)
  return encoding.toUint8Array(encoder)
}

/** Fails with `BAD_ENCODING`. */
function decodeImport(body: Uint8Array, space: Uint8Array): Edit {
  const decoder = decoding.createDecoder(body)
  try {
    const name = decoding.readVarString(decoder)
    if (name === '' || name.length > maxNameChars) throw new RangeError('A name of no valid length')
    const update = decoding.readTailAsUint8Array(decoder)
    const document = documentIdOf(space, name)
    return { document, clientCounter: 0, name, update, importId: importIdOf(update) }
  } catch (cause) {
    throw new SkeinError('BAD_ENCODING', 'Not a valid import', { cause })
  }
}

/** Is an entry of that kind one of a document's, as `decodeContent` reads it? */
export function isContent(kind: number): boolean {
  return kind === kinds.edit || kind === kinds.import
}

/** Reads an edit or an import. Fails with `BAD_ENCODING`. */
export function decodeContent(
  { kind, body }: { readonly kind: number; readonly body: Uint8Array },
  space: Uint8Array
): Edit {
  return kind === kinds.import ? decodeImport(body, space) : decodeEdit(body, space)
}
