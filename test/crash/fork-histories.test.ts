/**
 * Seeded histories of a device whose machine is put back, again and again, without any sign of it, while it and others write,
 * apart and together: its logs fork. Once all are together again every device shows the same, with all that the others
 * wrote and all of the device's that it had itself, or that any of the others showed.
 *
 *   FORK_HISTORIES=1000 TEST_DEADLINE_MS=36000000 npm test -- crash/fork-h     the long form; 3 otherwise
 *   SEED=…                                                                     the first of them
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { SkeinError, type Document } from '../../lib/index.ts'
import { device, joinAs, until, type Device } from '../devices.ts'
import { deadline } from '../events.ts'
import { followed, snapshot, unaware } from '../forking.ts'
import { random, seedOf } from './lab.ts'

const histories = Number(process.env['FORK_HISTORIES'] ?? 3)
const settleMs = 60_000
const names = ['plans', 'minutes']

const test = suite('fork histories')

interface Word {
  readonly name: string
  readonly token: string
}

async function run(seed: number): Promise<{ forks: number; words: number; twice: number }> {
  let twice = 0
  const choose = random(seed)
  const below = (count: number): number => Math.floor(choose() * count)
  const oneOf = <T>(list: readonly T[]): T => list[below(list.length)]!
  const network = new MemoryNetwork()
  await using alice = await device('alice', network, unaware)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  await using dave = await device('dave', network)
  const all = [alice, bob, carol, dave]
  const history: string[] = []
  let forks = 0
  const watch = (one: Device): void => {
    one.space.on('fork', () => forks++)
    one.space.on('storage', ({ error }) => {
      if (error !== null && error.code !== 'LOG_BEHIND')
        history.push(`${one.name} reports ${error.message}`)
    })
  }
  const founder = oneOf(all)
  const founded = await founder.skein.createSpace({ name: 'Notes' })
  for (const other of all.filter((one) => one !== founder))
    await joinAs(founded, other, { role: oneOf(['writer', 'admin'] as const) })
  for (const one of all) watch(one)
  history.push(`${founder.name} founds`)

  const words = new Map<Device, Word[]>(all.map((one) => [one, []]))
  let count = 0
  const write = async (writer: Device): Promise<void> => {
    const name = oneOf(names)
    const document = await writer.space.open(name)
    const text = document.doc.getText('body')
    const token = `<${writer.name}${count++}>`
    const ends = [...text.toJSON().matchAll(/>/g)].map(({ index }) => index + 1)
    text.insert(oneOf([0, ...ends]), token)
    words.get(writer)!.push({ name, token })
    history.push(`${writer.name} writes ${token} to ${name}`)
    // What cannot be written while it waits for a member is written later.
    if (!writer.space.readOnly)
      await deadline(document.saved(), settleMs, `${token} is saved, seed ${seed}`)
    if (choose() < 0.2) await document.close()
  }
  const snapshots: { putBack: () => void; words: Word[] }[] = []
  const takeSnapshot = (): void => {
    snapshots.push({ putBack: snapshot(alice), words: [...words.get(alice)!] })
    history.push(`alice’s machine: snapshot ${snapshots.length - 1}`)
  }
  for (const one of all) await write(one)
  await alice.skein.close()
  takeSnapshot()
  await alice.start()
  watch(alice)

  for (let step = 0; step < 8; step++) {
    const what = choose()
    if (what < 0.35) {
      const groups = new Map<number, Device[]>()
      for (const one of all) {
        const group = below(3)
        groups.set(group, [...(groups.get(group) ?? []), one])
      }
      network.heal()
      network.partition([...groups.values()].map((group) => group.map((one) => one.key)))
      history.push(
        `apart: ${[...groups.values()].map((group) => group.map((one) => one.name).join('+')).join(' | ')}`
      )
    } else if (what < 0.45) {
      network.heal()
      history.push('together')
    }
    if (choose() < 0.35) {
      // Mostly so that it forks: others have what it will not know of, and it writes before it meets them.
      const isApart = choose() < 0.7
      if (isApart) {
        network.heal()
        await write(alice)
      }
      await whenHeld(alice)
      await alice.skein.close()
      if (choose() < 0.5) takeSnapshot()
      const number = below(snapshots.length)
      const { putBack, words: then } = snapshots[number]!
      putBack()
      // What others show by then they keep for her.
      const shown = await Promise.all(
        all
          .filter((one) => one !== alice)
          .flatMap((one) => names.map(async (name) => textOf(await one.space.open(name))))
      )
      const isDue = (word: Word): boolean =>
        then.includes(word) || shown.some((text) => text.includes(word.token))
      words.set(alice, words.get(alice)!.filter(isDue))
      history.push(`alice’s machine is put back to snapshot ${number}`)
      if (isApart) {
        network.partition([[alice.key], all.filter((one) => one !== alice).map(({ key }) => key)])
        history.push('alice apart')
      }
      await alice.start()
      watch(alice)
      if (isApart) await write(alice)
    }
    for (const one of all) while (choose() < 0.5) await write(one)
    if (choose() < 0.5) {
      // As much as comes over in a while that has no end of its own.
      const peers = all.filter((one) => one.space.peers.length > 0)
      const document = peers.length > 0 ? await oneOf(peers).space.open(oneOf(names)) : null
      await document?.whenSynced(AbortSignal.timeout(3_000)).catch(() => {})
    }
  }
  network.heal()
  history.push('together, at last')

  for (const name of names) {
    const due = [...words.values()].flat().filter((word) => word.name === name)
    const documents = await Promise.all(all.map((one) => one.space.open(name)))
    const why = (): string => {
      const texts = documents.map(textOf)
      const lacking = documents.flatMap((_, i) =>
        due
          .filter(({ token }) => !texts[i]!.includes(token))
          .map(({ token }) => `${all[i]!.name} lacks ${token}`)
      )
      if (lacking.length > 0) return lacking.join(', ')
      return new Set(texts).size > 1 ? `they differ: ${texts.join(' ≠ ')}` : ''
    }
    const subscribe = (listener: () => void): (() => void) => {
      const stops = documents.map((document) => followed(document, listener))
      return () => stops.forEach((stop) => stop())
    }
    const holds = until(subscribe, () => why() === '', `all show the same ${name}`)
    await holds.catch((cause: unknown) => {
      throw new Error(`${why()}\nseed ${seed}: ${history.join('; ')}`, { cause })
    })
    const text = textOf(documents[0]!)
    for (const { token } of due) if (text.split(token).length > 2) twice++
  }
  return { forks, words: count, twice }
}

/**
 * Resolves once somebody holds what a device wrote, where anybody is there. A head that is out without its blocks, which
 * nobody has any more, is not what this is about.
 */
async function whenHeld({ space }: Device): Promise<void> {
  if (space.peers.length === 0 || space.readOnly) return
  for (const name of names) {
    const document = await space.open(name)
    const held = document.saved({ peers: 1, signal: AbortSignal.timeout(5_000) })
    await held.catch((error: unknown) => {
      if (!(error instanceof SkeinError) || error.code !== 'ABORTED') throw error
    })
  }
}

function textOf(document: Document): string {
  return document.doc.getText('body').toJSON()
}

test('whatever forks, all end equal, and nothing that anyone means is lost', async () => {
  const first = seedOf('crash/fork-h')
  const total = { forks: 0, words: 0, twice: 0 }
  for (let seed = first; seed < first + histories; seed++) {
    const one = await run(seed)
    total.forks += one.forks
    total.words += one.words
    total.twice += one.twice
  }
  assert.ok(total.words > 0)
  console.log(
    `${histories} histories, ${total.forks} times a fork was told, ${total.words} words, ${total.twice} there twice`
  )
})

test.run()
