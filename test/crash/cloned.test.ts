/**
 * A device's folder that is copied, told in processes over a private DHT: the copy runs beside its original, or in its
 * place.
 */
import { cpSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Document, Space, SpaceEvents } from '../../lib/index.ts'
import { until, whenText } from '../devices.ts'
import { deadline } from '../events.ts'
import { stage, whenMembers, write } from './story.ts'

const test = suite('copied folders between processes')

function copy(from: string, to: string): void {
  cpSync(from, to, { recursive: true, preserveTimestamps: true })
}

function forksIn(space: Space): string[] {
  const forks: string[] = []
  space.on('fork', ({ device }) => forks.push(device))
  return forks
}

function textOf(document: Document): string {
  return document.doc.getText('body').toString()
}

/** The first that asks to be let in. */
function whenAsked(space: Space): Promise<SpaceEvents['asked']> {
  return new Promise((resolve) => void space.once('asked', resolve))
}

function whenPeer(space: Space, device: string): Promise<void> {
  return until(
    (listener) => space.on('peers', listener),
    () => space.peers.includes(device),
    'it is connected'
  )
}

/** Resolves once each of the words is there once. */
function whenWords(document: Document, words: readonly string[]): Promise<void> {
  return until(
    (listener) => {
      document.doc.on('update', listener)
      return () => document.doc.off('update', listener)
    },
    () => words.every((word) => textOf(document).split(word).length === 2),
    `the words ${words.join()}`
  )
}

test('bob’s folder is cloned, and both run: the clone steps aside, becomes a device of its own, and nothing is lost', async () => {
  await using story = await stage()
  const space = await story.alice.createSpace({ name: 'Notes' })
  const note = await space.open('ideas')
  await write(note, 'alice ')
  let id: string
  {
    await using bob = story.device('bob')
    id = await bob.id()
    await bob.join(await space.invite())
    await bob.when({ text: 'alice ', role: 'writer' })
    await bob.write('bob ')
    await whenText(note.doc, 'alice bob ')
  }
  copy(join(story.folder, 'bob'), join(story.folder, 'clone'))
  const forks = forksIn(space)
  await using bob = story.device('bob')
  // First: a clone that is there alone is a restored backup, and goes on as that.
  await whenPeer(space, id)
  {
    await using clone = story.device('clone')
    assert.is(await clone.id(), id)
    await clone.type('asking ')
    await Promise.all([clone.whenCopied('here'), bob.whenCopied('elsewhere')])
    await clone.type('aside ')
    assert.ok((await clone.when({ text: 'alice bob asking aside ' })).readOnly)
    await bob.when({ readOnly: false })
    await bob.write('original ')
    await whenText(note.doc, 'alice bob original ')
    await clone.renew('clone')
  }
  await using clone = story.device('clone')
  assert.is.not(await clone.id(), id)
  const asking = whenAsked(space)
  const { readOnly } = await clone.when({ text: 'alice bob ', role: null })
  assert.ok(readOnly)
  await clone.type('waiting ')
  const { device, name, formerly } = await deadline(asking, 20_000, 'it asks to be let in')
  assert.is(device, await clone.id())
  assert.is(name, 'clone')
  assert.is(formerly, id)
  assert.is(space.members().length, 2, 'nobody is let in without a word')
  await space.letIn(device)
  await clone.when({ role: 'writer', readOnly: false })
  await clone.write('in ')
  await whenMembers(space, 3)
  const words = ['alice ', 'bob ', 'original ', 'asking ', 'aside ', 'waiting ', 'in ']
  await deadline(whenWords(note, words), 20_000, 'alice has every word once')
  const text = textOf(note)
  await Promise.all([bob.when({ text, readOnly: false }), clone.when({ text })])
  await bob.write('and on ')
  await clone.when({ text: `${text}and on ` })
  await whenText(note.doc, `${text}and on `)
  assert.equal(forks, [])
})

test('a backup is restored when its original is gone: it takes back what it lacks and goes on as itself', async () => {
  await using story = await stage()
  const space = await story.alice.createSpace({ name: 'Notes' })
  const note = await space.open('ideas')
  await write(note, 'alice ')
  const at = join(story.folder, 'bob')
  let id: string
  {
    await using bob = story.device('bob')
    id = await bob.id()
    await bob.join(await space.invite())
    await bob.when({ text: 'alice ', role: 'writer' })
    await bob.write('before ')
    await whenText(note.doc, 'alice before ')
  }
  copy(at, `${at}-backup`)
  {
    await using bob = story.device('bob')
    await bob.write('since ')
    await whenText(note.doc, 'alice before since ')
    // The machine is lost, without a word, and its backup is put onto another.
    await bob.kill()
  }
  renameSync(at, `${at}-lost`)
  copy(`${at}-backup`, at)
  const forks = forksIn(space)
  await using bob = story.device('bob')
  assert.is(await bob.id(), id)
  await bob.when({ text: 'alice before since ', readOnly: false })
  await bob.write('after ')
  await whenText(note.doc, 'alice before since after ')
  await whenMembers(space, 2)
  assert.equal(forks, [])
})

test.run()
