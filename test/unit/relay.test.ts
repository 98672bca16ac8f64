/** Blocks that came from one peer are passed on to the others: once, and to those who lack them. */
import type Hypercore from 'hypercore'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Emitter } from '../../lib/events.ts'
import { pushBlocks } from '../../lib/log/push.ts'
import type { Log, LogEvents } from '../../lib/log/log.ts'
import { SpaceSync, type SpaceSyncOptions } from '../../lib/sync/space-sync.ts'

const relay = suite('relay')

class FakeLog extends Emitter<LogEvents> {
  contiguousLength = 1
  readonly pushed: number[] = []
  download(): void {}
  push(from: number, to: number): void {
    for (let index = from; index < to; index++) this.pushed.push(index)
  }
  came(index: number): void {
    this.emit('downloaded', { index, bytes: 1 })
  }
}

relay('a block that comes again is not passed on again', () => {
  const log = new FakeLog()
  const sync = new SpaceSync({
    isOwn: () => false,
    introducible: () => null
  } as unknown as SpaceSyncOptions)
  sync.watch(log as unknown as Log)
  log.contiguousLength = 2
  log.came(1)
  log.came(1)
  assert.equal(log.pushed, [1])
  // Out of order: the one before is on its way.
  log.came(3)
  assert.equal(log.pushed, [1])
  log.contiguousLength = 4
  log.came(2)
  log.came(3)
  assert.equal(log.pushed, [1, 2, 3])
})

relay('a block is not pushed to a peer that has said to have all up to it', () => {
  const pushed: string[] = []
  const peer = (name: string, remoteContiguousLength: number) => ({
    remoteLength: 5,
    pushedLength: 0,
    remoteContiguousLength,
    push: (index: number) => {
      pushed.push(`${name} ${index}`)
      return Promise.resolve()
    }
  })
  const peers = [peer('bob', 4), peer('carol', 5)]
  pushBlocks({ core: { replicator: { peers } } } as unknown as Hypercore, 4, 5)
  assert.equal(pushed, ['bob 4'])
})

relay.run()
