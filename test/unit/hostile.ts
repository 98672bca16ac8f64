/**
 * What a changed client can do on a device that is real in all else: its entries are signed, sealed and replicated as any,
 * and say what it likes, whatever its role is.
 */
import * as Y from 'yjs'
import { fromHex, toHex } from '../../lib/bytes.ts'
import {
  keyIdOf,
  keyIdOfBlock,
  kinds,
  type Dep,
  type Entry,
  type LogId
} from '../../lib/log/entry.ts'
import { Feed } from '../../lib/log/feed.ts'
import { logIdOf, type Log } from '../../lib/log/log.ts'
import type { OwnCore } from '../../lib/log/outbox-records.ts'
import { OwnLog } from '../../lib/log/own-log.ts'
import { weave } from '../../lib/inspect/weave.ts'
import {
  decodeGrant,
  encodeGrant,
  type DeviceRecord,
  type GrantedRole
} from '../../lib/trust/control.ts'
import { cutNameOf, encodeCut, encodeLift, type CutRole, type Keep } from '../../lib/trust/cut.ts'
import { encodeEpoch } from '../../lib/trust/epoch.ts'
import { clientIdOf, documentIdOf, KeyRing } from '../../lib/trust/keys.ts'
import { encodeAppEntry } from '../../lib/views/app-entry.ts'
import { encodeEdit } from '../../lib/views/edit.ts'

/** An entry that is here, with where it stands. */
export interface Written {
  readonly device: string
  readonly log: Log
  readonly from: number
  readonly to: number
  /** Null where it cannot be read. */
  readonly entry: Entry | null
}

type Tamper = (dep: Dep) => Dep | null

const feedsByDevice = new Map<string, Feed>()
const ownLogsByContent = new Map<LogId, OwnLog>()
const tampersByDevice = new Map<string, Tamper>()

// oxlint-disable-next-line typescript/unbound-method -- called with the feed that it is a method of
const { addOwn, seen } = Feed.prototype
Feed.prototype.addOwn = function (log, delivered) {
  feedsByDevice.set(toHex(log.name.device), this)
  return addOwn.call(this, log, delivered)
}
Feed.prototype.seen = async function (core, ownLog) {
  const { deps, cut } = await seen.call(this, core, ownLog)
  const tamper = tampersByDevice.get(toHex(ownLog.name.device))
  if (tamper === undefined) return { deps, cut }
  return { deps: deps.flatMap((dep) => tamper(dep) ?? []), cut }
}
// oxlint-disable-next-line typescript/unbound-method -- called with the log that it is a method of
const { ready } = OwnLog.prototype
OwnLog.prototype.ready = function () {
  ownLogsByContent.set(this.contentId, this)
  return ready.call(this)
}

/** Of one space on a device, what its own code keeps to itself. */
export class Inside {
  readonly device: string
  readonly #space: Uint8Array

  constructor(device: string, space: string) {
    this.device = device
    this.#space = fromHex(space)
  }

  get feed(): Feed {
    return feedsByDevice.get(this.device)!
  }

  get #ownLog(): OwnLog {
    const name = { space: this.#space, device: fromHex(this.device), core: 'content/0' } as const
    return ownLogsByContent.get(logIdOf(name))!
  }

  /** Resolves too where it has no key to write under, and goes on trying. */
  async #append(core: OwnCore, kind: number, body: Uint8Array): Promise<void> {
    const ownLog = this.#ownLog
    let stop = (): void => {}
    const failed = new Promise<void>((resolve) => {
      stop = ownLog.on('failed', () => resolve())
    })
    await Promise.race([ownLog.append(core, kind, body), failed])
    stop()
  }

  /** What its entries say from now on that they have seen; null: the truth. */
  tamper(tamper: Tamper | null): void {
    if (tamper === null) tampersByDevice.delete(this.device)
    else tampersByDevice.set(this.device, tamper)
  }

  /** Every entry that is here. */
  async written(): Promise<Written[]> {
    const { feed } = this
    const threads = feed.logs.map((log) => ({ log, length: log.contiguousLength }))
    const list: Written[] = []
    for await (const { log, from, to, entry } of weave(threads, (log, id) => feed.keyOf(log, id)))
      list.push({ device: toHex(log.name.device), log, from, to, entry })
    return list
  }

  /** Writes that a device has a role from the beginning of its logs on. False where it was never let in. */
  async grant(device: string, role: GrantedRole): Promise<boolean> {
    const record = await this.#recordOf(device)
    if (record === null) return false
    const from = { control: 0, contentCore: 0, content: 0 }
    const [invite, sealedKeys] = [new Uint8Array(), new Uint8Array()]
    await this.#append(
      'control',
      kinds.grant,
      encodeGrant({ device: record, role, from, invite, sealedKeys })
    )
    return true
  }

  /** Writes that a device is cut, with these lengths of its logs left. */
  async cut(
    device: string,
    role: CutRole,
    control: number,
    content: number,
    randomBytes: (length: number) => Uint8Array
  ): Promise<void> {
    const treeHash = toHex(randomBytes(8))
    const keeps: Keep[] = []
    if (control > 0) keeps.push({ core: 'control', length: control, treeHash })
    if (content > 0) keeps.push({ core: 'content/0', length: content, treeHash })
    const body = { device: fromHex(device), role, keeps, demotion: null, epoch: new Uint8Array() }
    await this.#append('control', kinds.cut, encodeCut(body))
  }

  /** Writes that every cut of a device ends. */
  async lift(device: string): Promise<number> {
    let lifted = 0
    for (const { device: by, from, entry } of await this.written()) {
      if (entry?.kind !== kinds.cut || toHex(entry.body.subarray(0, 32)) !== device) continue
      await this.#append('control', kinds.lift, encodeLift(cutNameOf(by, from, entry.body)))
      lifted++
    }
    return lifted
  }

  /** Writes a new content key that only these devices get. */
  async epoch(
    readers: readonly string[],
    randomBytes: (length: number) => Uint8Array
  ): Promise<void> {
    const key = randomBytes(32)
    const ring = new KeyRing(this.#space, await this.#spaceKey())
    const records = await Promise.all(readers.map((device) => this.#recordOf(device)))
    const sealed = records.flatMap((record) =>
      record === null
        ? []
        : {
            signKey: record.signKey,
            sealedKey: ring.sealEpochKeyTo(key, record.signKey, record.boxKey)
          }
    )
    const control = this.feed.logs.filter(
      (log) => log.name.core === 'control' && toHex(log.name.device) !== this.device
    )
    const taken = new Map(
      control.map((log) => [toHex(log.name.device), this.feed.deliveredOf(log.id)])
    )
    const body = encodeEpoch({
      epochId: keyIdOf(key),
      sealed,
      earlierKeys: new Uint8Array(),
      seen: taken
    })
    await this.#append('control', kinds.epoch, body)
  }

  async event(value: string): Promise<void> {
    await this.#append('content', kinds.event, encodeAppEntry('chat', value))
  }

  /**
   * Writes an edit of a document behind what is seen there, under a client id of its own; `counter` is used once. False
   * where the device was let in by nobody.
   */
  async edit(document: string, shown: Y.Doc, text: string, counter: number): Promise<boolean> {
    const record = await this.#recordOf(this.device)
    if (record === null) return false
    const doc = new Y.Doc()
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(shown))
    const before = Y.encodeStateVector(doc)
    doc.clientID = clientIdOf(this.#space, record.signKey, record.salt, counter)
    const body = doc.getText('body')
    body.insert(body.length, text)
    const update = Y.encodeStateAsUpdate(doc, before)
    const edit = {
      document: documentIdOf(this.#space, document),
      clientCounter: counter,
      name: document,
      update
    }
    await this.#append('content', kinds.edit, encodeEdit(edit))
    return true
  }

  async #recordOf(device: string): Promise<DeviceRecord | null> {
    for (const { entry } of await this.written()) {
      if (entry?.kind !== kinds.grant) continue
      const { device: record } = decodeGrant(entry.body)
      if (toHex(record.signKey) === device) return record
    }
    return null
  }

  async #spaceKey(): Promise<Uint8Array> {
    const log = this.feed.logs.find(
      ({ name, contiguousLength }) => name.core === 'control' && contiguousLength > 0
    )!
    return this.feed.keyOf(log, keyIdOfBlock((await log.get(0))!))!
  }
}
