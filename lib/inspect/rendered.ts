/**
 * What of a document is visible, and how it is put together, in texts that can be compared. Neither `toJSON` nor the
 * encoded state will do: one leaves formats out, the other tells apart what is the same.
 */
import * as Y from 'yjs'

/** Equal for two documents that read the same: items by root, in document order, formats and attributes included. */
export function renderedOf(doc: Y.Doc): string {
  const roots = [...doc.share].sort(([a], [b]) => (a < b ? -1 : 1))
  // A root that was only asked for has nothing in it.
  return JSON.stringify(
    roots.map(([name, type]) => [name, typeOf(type)]).filter(([, content]) => !isEmpty(content))
  )
}

type Rendered = { readonly items: unknown[]; readonly keys: [string, unknown][] }

function typeOf(type: Pick<Y.AbstractType<unknown>, '_start' | '_map'>): Rendered {
  const items: unknown[] = []
  for (let item = type._start; item !== null; item = item.right) {
    if (!item.deleted) items.push(contentOf(item.content))
  }
  const keys = [...type._map]
    .filter(([, item]) => !item.deleted)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]): [string, unknown] => [key, contentOf(item.content)])
  return { items: joinedText(items), keys }
}

function isEmpty(content: unknown): boolean {
  const { items, keys } = content as Rendered
  return items.length === 0 && keys.length === 0
}

/** One text may lie in several items here and in one there. */
function joinedText(items: unknown[]): unknown[] {
  const joined: unknown[] = []
  for (const item of items) {
    const last = joined.at(-1)
    if (typeof item === 'string' && typeof last === 'string')
      joined[joined.length - 1] = last + item
    else joined.push(item)
  }
  return joined
}

function contentOf(content: Y.Item['content']): unknown {
  if (content instanceof Y.ContentString) return content.str
  if (content instanceof Y.ContentFormat)
    return { format: content.key, value: content.value as unknown }
  if (content instanceof Y.ContentType) {
    const { type } = content
    const name = type instanceof Y.XmlElement ? type.nodeName : ''
    return { type: type.constructor.name, name, ...typeOf(type) }
  }
  if (content instanceof Y.ContentDoc) return { doc: content.doc.guid }
  if (content instanceof Y.ContentBinary) return { bytes: [...content.content] }
  if (content instanceof Y.ContentEmbed) return { embed: content.embed as unknown }
  return { values: content.getContent() as unknown[] }
}

/**
 * How a document is put together: where each item that is there was put, whatever runs they are kept in. It decides how
 * later edits merge, also where it does not show.
 */
export function structureOf(doc: Y.Doc): string {
  const clients = [...doc.store.clients].sort(([a], [b]) => a - b)
  return JSON.stringify(clients.map(([client, structs]) => [client, runsIn(structs)]))
}

function runsIn(structs: readonly (Y.Item | Y.GC)[]): unknown[] {
  const runs: unknown[] = []
  let before: Y.Item | Y.GC | null = null
  for (const struct of structs) {
    if (before === null || !goesOn(before, struct)) runs.push(placeOf(struct))
    before = struct
  }
  return runs
}

/** Whether it says no more than that the run before it goes on. */
function goesOn(before: Y.Item | Y.GC, next: Y.Item | Y.GC): boolean {
  if (before.deleted || next.deleted) return before.deleted && next.deleted
  if (!(before instanceof Y.Item) || !(next instanceof Y.Item)) return false
  const end = before.id.clock + before.length - 1
  return (
    next.origin?.client === before.id.client &&
    next.origin.clock === end &&
    Y.compareIDs(next.rightOrigin, before.rightOrigin)
  )
}

function placeOf(struct: Y.Item | Y.GC): unknown {
  const { clock } = struct.id
  // What is deleted may have been collected, here or there.
  if (struct.deleted || !(struct instanceof Y.Item)) return [clock, 'deleted']
  const parent = struct.parent as Y.AbstractType<unknown>
  const inside = parent._item === null ? Y.findRootTypeKey(parent) : parent._item.id
  return [clock, struct.origin, struct.rightOrigin, inside, struct.parentSub]
}
