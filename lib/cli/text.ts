/**
 * The text of a document. A `Y.Doc` holds any number of named roots of several kinds; the command line reads and writes
 * one text: that of the root `body`, or of the only root that there is, or of the one that `--root` names.
 */
import * as Y from 'yjs'
import { exitCodes, Failure } from './exit.ts'
import { defaultRoot } from './text-help.ts'

export { rootHelp } from './text-help.ts'

type SharedType = Y.Doc['share'] extends Map<string, infer Type> ? Type : never

export type RootKind = 'text' | 'xml' | 'array' | 'map' | 'empty'

export interface Root {
  readonly name: string
  readonly kind: RootKind
}

/** The roots of a document that hold something, by name. What kind one is, is seen from what it holds. */
function rootsOf(doc: Y.Doc): Root[] {
  return [...doc.share]
    .map(([name, type]) => ({ name, kind: kindOf(type) }))
    .filter(({ kind }) => kind !== 'empty')
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The text to write to. Fails with a `Failure` where what is there is none. */
export function textOf(doc: Y.Doc, root?: string): Y.Text {
  const { name, kind } = rootMeant(doc, root)
  if (kind === 'text' || kind === 'empty') return doc.getText(name)
  throw new Failure(`"${name}" is no text but ${kindNames[kind]}`, {
    advice: 'Its own app changes it; `skein cat` shows it.'
  })
}

/** What `cat` prints: a text as it is, XML as XML, what else there is as JSON. */
export function render(doc: Y.Doc, root?: string): string {
  const { name, kind } = rootMeant(doc, root)
  if (kind === 'xml') return doc.getXmlFragment(name).toString()
  if (kind === 'map') return JSON.stringify(doc.getMap(name).toJSON(), null, 2)
  if (kind === 'array') return JSON.stringify(doc.getArray(name).toJSON(), null, 2)
  return doc.getText(name).toString()
}

/** All that a document holds, for people to look at; the name of each part stands before it where there are several. */
export function renderAll(doc: Y.Doc): string {
  const roots = rootsOf(doc)
  if (roots.length < 2) return render(doc)
  return roots.map(({ name }) => `${name}: ${render(doc, name)}`).join('\n')
}

const kindNames = { xml: 'XML', map: 'a map', array: 'a list' } as const

function rootMeant(doc: Y.Doc, wanted: string | undefined): Root {
  const roots = rootsOf(doc)
  if (wanted !== undefined) {
    return roots.find(({ name }) => name === wanted) ?? { name: wanted, kind: 'empty' }
  }
  const body = roots.find(({ name }) => name === defaultRoot)
  if (body !== undefined) return body
  if (roots.length === 0) return { name: defaultRoot, kind: 'empty' }
  if (roots.length === 1) return roots[0]!
  const names = roots.map(({ name, kind }) => `${name} (${kind})`).join(', ')
  throw new Failure(`The document has several parts: ${names}`, {
    exitCode: exitCodes.usage,
    advice: 'Name one with --root.'
  })
}

/** The kind of a root: known where it has been asked for by kind, else seen from what it holds. */
function kindOf(type: SharedType): RootKind {
  if (type instanceof Y.XmlFragment) return type.length === 0 ? 'empty' : 'xml'
  if (type instanceof Y.Map) return type.size === 0 ? 'empty' : 'map'
  if (type instanceof Y.Array) return type.length === 0 ? 'empty' : 'array'
  if ([...type._map.values()].some(({ deleted }) => !deleted)) return 'map'
  let isText = false
  for (let item = type._start; item !== null; item = item.right) {
    const { content } = item
    if (content instanceof Y.ContentString || content instanceof Y.ContentFormat) isText = true
    if (item.deleted) continue
    if (content instanceof Y.ContentType) {
      const { type: inner } = content
      return inner instanceof Y.XmlFragment || inner instanceof Y.XmlText ? 'xml' : 'array'
    }
    if (content instanceof Y.ContentAny || content instanceof Y.ContentJSON) return 'array'
  }
  // One whose characters are all deleted is a text still.
  return isText || type instanceof Y.Text ? (type._start === null ? 'empty' : 'text') : 'empty'
}
