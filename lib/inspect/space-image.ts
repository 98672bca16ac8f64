/**
 * A space as it lies in the store, read without opening it: which logs it has, what their control entries say, what its
 * members are called. What is damaged is left out here and told by those who check.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { hash, type BoxKeys } from '../crypto.ts'
import type { CoreName, LogId } from '../log/entry.ts'
import type { StoredLog, StoreImage } from '../log/store-image.ts'
import { Unreadable } from '../log/store-image.ts'
import { logIdOf, type LogName } from '../log/log.ts'
import { blockKeyOf, seenIn } from '../space-logs.ts'
import type { DeviceKeys } from '../transport.ts'
import { ControlState } from '../trust/control-state.ts'
import { KeyRing } from '../trust/keys.ts'
import { Addresses } from './address.ts'
import { weave } from './weave.ts'

/** Content logs of one device that are looked for. */
const mostContentLogs = 64

export interface SpaceIdentity {
  readonly id: Uint8Array
  readonly spaceKey: Uint8Array
  readonly genesis: Uint8Array
  readonly device: DeviceKeys
  readonly box: BoxKeys
  /** Keys of content that are there besides those that members have sealed to the device. */
  readonly epochKeys: readonly Uint8Array[]
}

export interface SpaceImage {
  readonly control: ControlState
  readonly logs: readonly StoredLog[]
  /** Logs whose record cannot be read, by what they should be. */
  readonly unreadable: readonly { readonly name: LogName; readonly reason: Unreadable }[]
  readonly addresses: Addresses
}

/** Fails with `BAD_ENCODING` when the genesis is not that of the space. */
export async function readSpace(store: StoreImage, identity: SpaceIdentity): Promise<SpaceImage> {
  const { id, spaceKey, genesis, device, box, epochKeys } = identity
  const logs = new Map<LogId, StoredLog>()
  const unreadable = new Map<LogId, { name: LogName; reason: Unreadable }>()
  const find = async (key: Uint8Array, core: CoreName): Promise<void> => {
    const name = { space: id, device: key, core }
    const logId = logIdOf(name)
    if (logs.has(logId) || unreadable.has(logId)) return
    const log = await store.log(name)
    if (log instanceof Unreadable) unreadable.set(logId, { name, reason: log })
    else if (log !== null) logs.set(logId, log)
  }
  for (const name of await namesIn(store, id)) await find(name.device, name.core)
  const ring = (): KeyRing => {
    const made = new KeyRing(id, spaceKey)
    for (const key of epochKeys) made.addEpochKey(key)
    return made
  }
  let control = new ControlState(genesis, ring(), device.publicKey, box)
  // Control logs name further members, whose control logs may name more; and at first there is the genesis alone.
  for (let isRead = false; ; isRead = true) {
    const known = logs.size + unreadable.size
    const members = [...control.members.values()].map(({ record }) => record.signKey)
    for (const key of [device.publicKey, ...members]) {
      await find(key, 'control')
      await find(key, 'content/0')
    }
    if (isRead && logs.size + unreadable.size === known) break
    control = new ControlState(genesis, ring(), device.publicKey, box)
    await readControl(control, [...logs.values()])
  }
  return {
    control,
    logs: [...logs.values()].sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1)),
    unreadable: [...unreadable.values()],
    addresses: new Addresses(
      [...control.members.values()].map(({ device: one, record }) => ({
        device: one,
        name: record.name
      })),
      [...logs.values()].map((log) => ({
        id: log.id,
        device: toHex(log.name.device),
        core: log.name.core
      }))
    )
  }
}

/** What a log is called: `alice:content`. */
export function nameOfLog(addresses: Addresses, { device, core }: LogName): string {
  return addresses.of(toHex(device), core, 0).replace(/:0$/, '')
}

async function readControl(control: ControlState, logs: readonly StoredLog[]): Promise<void> {
  const threads = []
  for (const log of logs) {
    if (log.name.core !== 'control') continue
    const head = await log.head()
    if (head === null || head instanceof Unreadable) continue
    threads.push({ log, length: head.length })
  }
  // Their order does not matter, and which of them fork is not known yet.
  const entries = weave(threads, (log, keyId) => blockKeyOf(control, log.name, keyId))
  for await (const { log, from, to, entry } of entries) {
    if (entry === null) continue
    const { kind, body, deps } = entry
    const seen = seenIn(deps, (id) => logs.find((other) => other.id === id)?.name)
    control.add({ device: toHex(log.name.device), seq: from, last: to - 1, kind, body, seen })
  }
}

/** The logs in the store that are this space's, by what their manifests say. */
async function namesIn(store: StoreImage, space: Uint8Array): Promise<LogName[]> {
  const names: CoreName[] = ['control']
  for (let n = 0; n < mostContentLogs; n++) names.push(`content/${n}`)
  const namespaces = names.map((core) => ({
    core,
    namespace: hash('skein/log', space, new TextEncoder().encode(core))
  }))
  return (await store.signers()).flatMap(({ publicKey, namespace }) => {
    const core = namespaces.find((known) => equalBytes(known.namespace, namespace))?.core
    return core === undefined ? [] : [{ space, device: new Uint8Array(publicKey), core }]
  })
}

function orderOf({ name }: StoredLog): string {
  return `${name.core === 'control' ? 0 : 1} ${toHex(name.device)} ${name.core}`
}
