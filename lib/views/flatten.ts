/**
 * Content that was made elsewhere, in a form of its own: what can be seen of it, in document order, under one client id.
 * Equal content is equal bytes, wherever and however often it is made; what was deleted is not in it; and every item hangs
 * on the one before, so that nothing about it is costly or can be seen in two ways.
 */
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import { SkeinError } from '../errors.ts'
import { importClient, updateLimits } from '../trust/validate.ts'

const [hasOrigin, hasKey] = [0x80, 0x20]

type Type = Y.AbstractType<Y.YEvent<never>>

/** A Yjs update (V1) that holds a whole document, as one that holds what can be seen of it. Fails with `IMPORT_INVALID`. */
export function flattened(update: Uint8Array): Uint8Array {
  const doc = new Y.Doc()
  try {
    Y.applyUpdate(doc, update)
  } catch (cause) {
    throw new SkeinError('IMPORT_INVALID', 'This is not a Yjs update of version 1', { cause })
  }
  if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null) {
    const message = 'The update refers to content that it does not hold; give the whole state'
    throw new SkeinError('IMPORT_INVALID', message)
  }
  const flattener = new Flattener()
  for (const name of [...doc.share.keys()].sort()) {
    flattener.addType(doc.share.get(name) as unknown as Type, name)
  }
  doc.destroy()
  return flattener.bytes
}

interface Spot {
  readonly parent: string | number
  readonly key: string | null
  /** The clock of the item before it in its list. */
  readonly after: number | null
  /** In how many types it stands, apart from the root. */
  readonly depth: number
}

class Flattener {
  readonly #body = new Y.UpdateEncoderV1()
  #structs = 0
  #clock = 0

  get bytes(): Uint8Array {
    return encoding.encode((encoder) => {
      encoding.writeVarUint(encoder, this.#structs === 0 ? 0 : 1)
      if (this.#structs > 0) {
        encoding.writeVarUint(encoder, this.#structs)
        encoding.writeVarUint(encoder, importClient)
        encoding.writeVarUint(encoder, 0)
        encoding.writeUint8Array(encoder, this.#body.toUint8Array())
      }
      encoding.writeVarUint(encoder, 0)
    })
  }

  /** `parent`: the name of the root that it is, or the clock of the item that holds it. */
  addType(type: Type, parent: string | number, depth = 0): void {
    if (depth > updateLimits.maxNesting) {
      const message = `Its types nest deeper than ${updateLimits.maxNesting}`
      throw new SkeinError('IMPORT_INVALID', message)
    }
    let last: number | null = null
    for (const content of contentsOf(type))
      last = this.#add(content, { parent, key: null, after: last, depth })
    for (const key of [...type._map.keys()].sort()) {
      const item = type._map.get(key)!
      if (!item.deleted) this.#add(item.content, { parent, key, after: null, depth })
    }
  }

  /** Returns the clock at which it ends. */
  #add(content: Y.Item['content'], { parent, key, after, depth }: Spot): number {
    const body = this.#body
    const clock = this.#clock
    body.writeInfo(
      content.getRef() | (after === null ? 0 : hasOrigin) | (key === null ? 0 : hasKey)
    )
    if (after !== null) body.writeLeftID(Y.createID(importClient, after))
    else if (typeof parent === 'string') {
      body.writeParentInfo(true)
      body.writeString(parent)
    } else {
      body.writeParentInfo(false)
      body.writeLeftID(Y.createID(importClient, parent))
    }
    if (after === null && key !== null) body.writeString(key)
    content.write(body, 0)
    this.#structs++
    this.#clock += content.getLength()
    if (content instanceof Y.ContentType)
      this.addType(content.type as unknown as Type, clock, depth + 1)
    return clock + content.getLength() - 1
  }
}

/** What is not deleted of a list, with text and values in as few pieces as they can be. */
function* contentsOf(type: Type): Generator<Y.Item['content']> {
  let last: Y.ContentString | Y.ContentAny | null = null
  for (let item = type._start; item !== null; item = item.right) {
    const { content } = item
    if (item.deleted) continue
    if (content instanceof Y.ContentString && last instanceof Y.ContentString)
      last.str += content.str
    else if (content instanceof Y.ContentAny && last instanceof Y.ContentAny)
      last.arr.push(...content.arr)
    else {
      if (last !== null) yield last
      last = null
      if (content instanceof Y.ContentString) last = new Y.ContentString(content.str)
      else if (content instanceof Y.ContentAny) last = new Y.ContentAny([...content.arr])
      else yield content
    }
  }
  if (last !== null) yield last
}
