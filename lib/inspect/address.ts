/**
 * How entries are named for people: `alice:content:12` is what alice's device wrote at place 12 of its content log. A
 * name that several devices have gets as much of the device's key as tells them apart: `alice~3f2a:content:12`.
 * `0123456789abcdef/12` (the log's id, the place) means the same on every device, whatever its members are called.
 */
import { SkeinError } from '../errors.ts'
import type { CoreName, LogId } from '../log/entry.ts'
import type { DeviceId } from '../trust/members.ts'

const shortestKey = 4

export interface NamedDevice {
  readonly device: DeviceId
  readonly name: string
}

export interface NamedLog {
  readonly id: LogId
  readonly device: DeviceId
  readonly core: CoreName
}

export class Addresses {
  readonly #names = new Map<DeviceId, string>()
  readonly #logs: readonly NamedLog[]

  constructor(devices: readonly NamedDevice[], logs: readonly NamedLog[]) {
    this.#logs = logs
    const byName = new Map<string, DeviceId[]>()
    for (const { device, name } of devices) {
      byName.set(name, [...(byName.get(name) ?? []), device])
    }
    for (const [name, ids] of byName) {
      let digits = shortestKey
      while (new Set(ids.map((id) => id.slice(0, digits))).size < ids.length) digits++
      for (const id of ids) {
        this.#names.set(id, ids.length === 1 ? name : `${name}~${id.slice(0, digits)}`)
      }
    }
  }

  /** What a device is called here: unlike any other. */
  nameOf(device: DeviceId): string {
    return this.#names.get(device) ?? `~${device.slice(0, 8)}`
  }

  /** The device that is called so: by name, by name and key, or by the beginning of its key. Null for none, or several. */
  deviceOf(name: string): DeviceId | null {
    const [, , key = ''] = /^(.*)~([0-9a-f]+)$/s.exec(name) ?? []
    const found = [...this.#names].filter(
      ([device, called]) =>
        called === name ||
        (/^[0-9a-f]{8,}$/.test(name) && device.startsWith(name)) ||
        (key !== '' && device.startsWith(key) && name.startsWith(called.replace(/~[0-9a-f]+$/, '')))
    )
    return found.length === 1 ? found[0]![0] : null
  }

  of(device: DeviceId, core: CoreName, from: number): string {
    return `${this.nameOf(device)}:${shortCore(core)}:${from}`
  }

  /** Fails with `ENTRY_UNKNOWN` for what names no log here. */
  parse(address: string): { log: LogId; seq: number } {
    const byId = /^([0-9a-f]{16})\/(\d+)$/.exec(address)
    if (byId !== null && this.#logs.some(({ id }) => id === byId[1])) {
      return { log: byId[1]!, seq: Number(byId[2]) }
    }
    const [, name, core, seq] = /^(.+):([a-z]+(?:\/\d+)?):(\d+)$/s.exec(address) ?? []
    const device = name === undefined ? null : this.deviceOf(name)
    const log = this.#logs.find(
      (candidate) => candidate.device === device && shortCore(candidate.core) === core
    )
    if (log === undefined) {
      const form = 'an entry is named like alice:content:12 or 0123456789abcdef/12'
      throw new SkeinError('ENTRY_UNKNOWN', `${JSON.stringify(address)} names no log here: ${form}`)
    }
    return { log: log.id, seq: Number(seq) }
  }
}

/** Nearly every device has one content log only. */
function shortCore(core: CoreName): string {
  return core === 'content/0' ? 'content' : core
}
