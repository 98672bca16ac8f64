/** What the items of a Yjs V1 update hold, by kind: read past, and measured in clocks. */
import { malformed, type UpdateReader } from './update-reader.ts'

/** The lower five bits of a struct's first byte. 10 would be a gap (`Skip`), which an entry may not have. */
export const contentKinds = {
  gc: 0,
  deleted: 1,
  json: 2,
  binary: 3,
  string: 4,
  embed: 5,
  format: 6,
  type: 7,
  any: 8,
  document: 9
} as const

const typeKinds = { xmlElement: 3, xmlHook: 5, highest: 6 } as const

/** Skips the content of an item and returns its length in clocks. */
export function skipContent(reader: UpdateReader, kind: number): number {
  switch (kind) {
    case contentKinds.deleted:
      return reader.uint()
    case contentKinds.string:
      return reader.textLength()
    case contentKinds.json:
      return skipEach(reader, () => reader.skipJson({ mayBeUndefined: true }))
    case contentKinds.any:
      return skipEach(reader, () => reader.skipAny())
    case contentKinds.binary:
      reader.skipBytes()
      return 1
    case contentKinds.embed:
      reader.skipJson()
      return 1
    case contentKinds.format:
      reader.key()
      reader.skipJson()
      return 1
    case contentKinds.type:
      skipType(reader)
      return 1
    case contentKinds.document:
      skipDocument(reader)
      return 1
    default:
      throw malformed(`has a struct of kind ${kind}`)
  }
}

function skipEach(reader: UpdateReader, skip: () => void): number {
  const count = reader.count(1, Infinity, 'values')
  for (let left = count; left > 0; left--) skip()
  return count
}

/** Array, Map, Text, XmlElement, XmlFragment, XmlHook or XmlText. */
function skipType(reader: UpdateReader): void {
  const kind = reader.uint()
  if (kind > typeKinds.highest) throw malformed(`has a shared type of kind ${kind}`)
  if (kind === typeKinds.xmlElement || kind === typeKinds.xmlHook) reader.key()
}

/** A subdocument: its guid and the options that Yjs writes. Others would reach the constructor of `Y.Doc`. */
function skipDocument(reader: UpdateReader): void {
  reader.textLength()
  reader.skipObject((key) => {
    if (key === 'gc' || key === 'autoLoad') reader.skipBoolean()
    else if (key === 'meta') reader.skipAny(2)
    else throw malformed(`has a subdocument with an option ${JSON.stringify(key)}`)
  })
}
