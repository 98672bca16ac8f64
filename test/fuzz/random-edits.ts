/** Edits of every kind that Yjs knows, by chance that a seed replays. */
import * as Y from 'yjs'

export type Below = (n: number) => number

/** Whole numbers from 0 up to below `n`. */
export function randomBelow(seed: number): Below {
  const random = mulberry32(seed)
  return (n) => Math.floor(random() * n)
}

/** One random edit of the roots text, map, array and xml. */
export function edit(doc: Y.Doc, below: Below): void {
  const text = doc.getText('text')
  const map = doc.getMap('map')
  const array = doc.getArray('array')
  const xml = doc.getXmlFragment('xml')
  const range = (length: number): [number, number] => {
    const at = below(length)
    return [at, 1 + below(Math.min(4, length - at))]
  }
  // A range that ends within a character damages it, on this device alone where it is a mark that changes nothing:
  // `format(0, 2, { bold: null })` on `a😀` makes it `a\uFFFD\uFFFD` without any update.
  const characters = (): [number, number] => {
    const content = text
      .toDelta()
      .flatMap(({ insert }: { insert: unknown }) =>
        typeof insert === 'string' ? [...insert] : ['.']
      )
    const [at, count] = range(content.length)
    const width = (from: number, to: number): number => content.slice(from, to).join('').length
    return [width(0, at), width(at, at + count)]
  }
  const cases: (() => void)[] = [
    () => text.insert(below(text.length + 1), 'abcdef😀'.slice(0, 1 + below(8))),
    () => text.insert(below(text.length + 1), 'fat', { bold: true }),
    () => text.length > 0 && text.delete(...characters()),
    () => text.length > 0 && text.format(...characters(), { bold: below(2) > 0 || null }),
    () => text.insertEmbed(below(text.length + 1), { image: below(9) }),
    () => map.set('k' + below(3), below(9)),
    () => map.set('k' + below(3), new Y.Map<unknown>([['x', below(9)]])),
    () => map.set('k' + below(3), new Y.Text('nested')),
    () => map.delete('k' + below(3)),
    () => {
      const value = map.get('k' + below(3))
      if (value instanceof Y.Map) value.set('y' + below(2), [below(9)])
      if (value instanceof Y.Text) value.insert(below(value.length + 1), 'in')
    },
    () => array.insert(below(array.length + 1), [below(9), 'two', { three: 3 }]),
    () => array.insert(below(array.length + 1), [new Y.Array(), Uint8Array.of(1, 2)]),
    () => array.length > 0 && array.delete(...range(array.length)),
    () => {
      const value = array.length > 0 ? array.get(below(array.length)) : null
      if (value instanceof Y.Array) value.push([below(9)])
    },
    () => {
      const element = new Y.XmlElement('p')
      element.insert(0, [new Y.XmlText('words')])
      xml.insert(below(xml.length + 1), [element])
    },
    () => {
      const element = xml.length > 0 ? xml.get(below(xml.length)) : null
      if (element instanceof Y.XmlElement) element.setAttribute('a' + below(2), String(below(9)))
    },
    () => {
      const element = xml.length > 0 ? xml.get(below(xml.length)) : null
      const words = element instanceof Y.XmlElement && element.length > 0 ? element.get(0) : null
      if (words instanceof Y.XmlText) words.insert(below(words.length + 1), 'x')
    },
    () => xml.length > 0 && xml.delete(...range(xml.length)),
    () => map.set('document', new Y.Doc({ guid: 'guid' + below(3) }))
  ]
  cases[below(cases.length)]!()
}

/** Puts one of everything into the roots text, map and xml. */
export function fillWithEveryKind(doc: Y.Doc): void {
  doc.transact(() => {
    const text = doc.getText('text')
    text.insert(0, 'bold and plain 😀')
    text.format(0, 4, { bold: true })
    text.insertEmbed(4, { image: 'x.png' })
    const map = doc.getMap('map')
    map.set(
      'document',
      new Y.Doc({ guid: 'guid', gc: false, autoLoad: true, meta: { kind: 'note' } })
    )
    map.set('bytes', Uint8Array.of(1, 2, 3))
    map.set('values', [null, undefined, true, 1, 1.5, 2 ** 40, 10n, 'text', { nested: [1] }])
    map.set('map', new Y.Map([['in', 1]]))
    map.set('array', Y.Array.from([1, 'two']))
    map.set('text', new Y.Text('nested'))
    const element = new Y.XmlElement('p')
    element.setAttribute('class', 'big')
    // Yjs's declarations leave hooks out.
    element.insert(0, [new Y.XmlText('words'), new Y.XmlHook('hook') as unknown as Y.XmlText])
    doc.getXmlFragment('xml').insert(0, [element])
    map.set('fragment', new Y.XmlFragment())
  })
}

function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
