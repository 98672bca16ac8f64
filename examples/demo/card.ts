/** The devices on a live screen: of each its text in the colours of who wrote it, how it is connected, what is saved. */
import type * as Y from 'yjs'
import type { Actor, Condition } from './actor.ts'
import type { Colors, Picture } from './live.ts'

interface CardOptions {
  readonly width: number
  /** Of the text alone. */
  readonly lines: number
  readonly colors: Colors
  /** All devices, in the order of their colours. */
  readonly actors: readonly Actor[]
}

/** A character of a document, and its name in it. */
interface Character {
  readonly text: string
  readonly client: number
  readonly clock: number
}

/** A cursor is shown for so long after what was typed there. */
const cursorMs = 600
const maxLines = 16

/** The devices side by side. */
export function cardsOf(actors: readonly Actor[]): Picture {
  return {
    draw({ columns, rows }, colors) {
      const width = Math.floor(columns / actors.length)
      const lines = Math.max(4, Math.min(rows - 5, maxLines))
      const cards = actors.map((actor) => cardOf(actor, { width, lines, colors, actors }))
      return cards[0]!.map((_, row) => cards.map((card) => card[row]).join(''))
    },
    hueOf(name, colors) {
      const index = actors.findIndex((actor) => actor.name === name)
      return index === -1 ? String : hueOf(colors, index)
    }
  }
}

function hueOf(colors: Colors, index: number): (text: string) => string {
  return [colors.cyan, colors.yellow, colors.magenta][index % 3]!
}

function cardOf(actor: Actor, options: CardOptions): string[] {
  const { width, colors, actors } = options
  const hue = hueOf(colors, actors.indexOf(actor))
  const isGone = actor.condition === 'killed' || actor.condition === 'shut'
  const edge = actor.condition === 'killed' ? colors.red : isGone ? colors.dim : hue
  const inner = width - 4

  const status = statusOf(actor)
  const statusHue = { online: colors.green, killed: colors.red }[actor.condition as string]
  const rule = '─'.repeat(Math.max(0, width - 6 - actor.name.length - status.length))
  const top =
    edge('╭ ') +
    hue(colors.bold(actor.name)) +
    edge(` ${rule} `) +
    (statusHue ?? colors.dim)(status) +
    edge(' ╮')
  const body = textOf(actor, inner, options).map((line) => edge('│ ') + line + edge(' │'))
  const foot = [savedOf(actor), logsOf(actor)].map(
    (line) => edge('│ ') + colors.dim(line.slice(0, inner).padEnd(inner)) + edge(' │')
  )
  return [
    top,
    ...body,
    edge(`├${'─'.repeat(width - 2)}┤`),
    ...foot,
    edge(`╰${'─'.repeat(width - 2)}╯`)
  ]
}

function statusOf({ condition, peers }: Actor): string {
  const words: Record<Condition, string> = {
    starting: '… starting',
    online: ['● online, alone', '● with 1 other'][peers.length] ?? `● with ${peers.length} others`,
    offline: '○ offline',
    shut: '– shut',
    killed: '✕ killed'
  }
  return words[condition]
}

function savedOf({ made, safety, condition }: Actor): string {
  if (made === 0) return 'nothing written yet'
  const edits = `${made} edits`
  if (condition === 'killed' || condition === 'shut') return edits
  if (!safety.durable) return `${edits}, saving …`
  return `${edits}, saved${safety.devices > 0 ? ` on ${safety.devices + 1}` : ''}`
}

function logsOf({ logs }: Actor): string {
  if (logs.entries === 0) return ''
  return `${logs.entries} entries, ${(logs.bytes / 1_000).toFixed(1)} kB`
}

/** So many lines of the document, around where it was changed last. */
function textOf(actor: Actor, width: number, { lines, colors, actors }: CardOptions): string[] {
  const characters = charactersOf(actor.doc.getText('body'))
  const wrapped = wrap(characters, width)
  const nowMs = performance.now()
  const newest = [...actor.cursors].sort(([, a], [, b]) => b.atMs - a.atMs)[0]
  const isAt = ({ client, clock }: Character): boolean =>
    client === newest?.[0] && clock === newest[1].clock
  const changed = wrapped.findIndex((line) => line.some(isAt))
  const first = Math.min(Math.max(0, changed - lines + 2), Math.max(0, wrapped.length - lines))
  const isGone = actor.condition === 'killed' || actor.condition === 'shut'

  return Array.from({ length: lines }, (_, index) => {
    const line = wrapped[first + index] ?? []
    const styled = line.map(({ text, client, clock }) => {
      if (isGone) return colors.dim(text)
      const author = actors.findIndex(({ clients }) => clients.has(client))
      const cursor = actor.cursors.get(client)
      const hue = author === -1 ? String : hueOf(colors, author)
      const isCursor = cursor?.clock === clock && nowMs - cursor.atMs < cursorMs
      return isCursor ? colors.inverse(hue(text)) : hue(text)
    })
    return styled.join('') + ' '.repeat(width - line.length)
  })
}

function charactersOf(text: Y.Text): Character[] {
  const characters: Character[] = []
  for (let item = text._start; item !== null; item = item.right) {
    if (item.deleted || !item.countable) continue
    const { client, clock } = item.id
    const units = item.content.getContent() as string[]
    for (const [i, unit] of units.entries())
      characters.push({ text: unit, client, clock: clock + i })
  }
  return characters
}

/** Lines of at most `width` characters, broken at spaces where there are any. */
function wrap(characters: readonly Character[], width: number): Character[][] {
  const lines: Character[][] = [[]]
  for (const character of characters) {
    const line = lines.at(-1)!
    if (character.text === '\n') {
      lines.push([])
    } else if (line.length < width) {
      line.push(character)
    } else if (character.text === ' ') {
      lines.push([])
    } else {
      const space = line.findLastIndex(({ text }) => text === ' ')
      lines.push([
        ...line.splice(space === -1 ? width : space).slice(space === -1 ? 0 : 1),
        character
      ])
    }
  }
  return lines
}
