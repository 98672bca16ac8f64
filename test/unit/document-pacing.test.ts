/** A document between groups: what has arrived is applied, whatever ends the wait. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import type { DocumentHost } from '../../lib/document-host.ts'
import { Document } from '../../lib/document.ts'
import type { Clock } from '../../lib/platform.ts'
import type { IncomingEdit } from '../../lib/views/applier.ts'

const pacing = suite('document pacing')
const [aliceClient, bobClient] = [11, 22]

pacing('saved() cuts a wait short, and what arrived meanwhile is applied', async () => {
  const written: (() => void)[] = []
  /** The waits of groups, which are short: what looks whether a document is quiet waits longer. */
  const timers = new Set<() => void>()
  const clock: Clock = {
    now: () => 0,
    after: (delayMs, callback) => {
      if (delayMs <= 100) timers.add(callback)
      return () => void timers.delete(callback)
    },
    soon: (callback) => void setImmediate(callback)
  }
  const host = {
    clock,
    clientId: () => aliceClient,
    mayWrite: () => 'yes',
    peers: () => [],
    isSynced: () => false,
    clientIdsOf: () => [bobClient],
    append: () => new Promise((resolve) => written.push(() => resolve({ cut: new Map() }))),
    flush: async () => {
      for (const write of written.splice(0)) write()
    },
    read: async () => ({ stored: { state: null, since: [], filed: 0, bytes: 0 }, edits: [] }),
    bytesToMerge: () => ({ since: 0, merged: 0 }),
    devicesHolding: () => [],
    sendPresence: () => {},
    askPresence: () => {},
    onClosed: () => {}
  }
  await using document = new Document('note', undefined, host as unknown as DocumentHost)
  await document.ready()
  const text = document.doc.getText('body')

  text.insert(0, 'a')
  await turn() // The first leaves at once …
  for (let overtakes = 1; overtakes <= 3; overtakes++) {
    assert.is(timers.size, 0)
    text.insert(0, 'a') // … and what comes while it is being written leaves after that …
    for (const write of written.splice(0)) write()
    await turn()
  }
  assert.is(timers.size, 1) // … until that has happened a few times in a row.
  document.receive(0, { device: 'bob', update: bobsUpdate() } as IncomingEdit)
  await document.saved()
  assert.is(timers.size, 0)
  await turn()
  assert.is(text.toString(), 'aaaab')
})

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function bobsUpdate(): Uint8Array {
  const doc = new Y.Doc()
  doc.clientID = bobClient
  doc.getText('body').insert(0, 'b')
  return Y.encodeStateAsUpdate(doc)
}

pacing.run()
