/** What happens while spaces are synced, as lines that stay: who came and went, who changed what. */
import type { DeviceId, Member, Space } from 'skein'
import type { Output } from './output.ts'
import { counted, listed, timeOfDay } from './words.ts'

/** What comes in this time is told of together. */
const gatherMs = 1_000

interface Changes {
  readonly space: Space
  readonly documentsByDevice: Map<DeviceId, Set<string>>
  edits: number
}

export class SyncNews {
  readonly #out: Output
  readonly #stops: (() => void)[] = []
  readonly #changesBySpace = new Map<string, Changes>()
  #timer: NodeJS.Timeout | null = null

  constructor(out: Output) {
    this.#out = out
  }

  follow(space: Space): void {
    const own = space.members().find(({ isThisDevice }) => isThisDevice)?.device
    let roles = rolesIn(space)
    this.#stops.push(
      space.on('peers', ({ added, removed }) => {
        for (const device of added) this.#peer(space, device, true)
        for (const device of removed) this.#peer(space, device, false)
      }),
      space.on('edit', ({ name, device }) => {
        if (device !== own) this.#edited(space, name, device)
      }),
      space.on('members', () => {
        const before = roles
        roles = rolesIn(space)
        this.#members(space, before, roles)
      }),
      space.on('returned', ({ device, removedBy }) => {
        const who = [device, removedBy].map((id) => nameOf(space, id))
        this.#out.warn(
          `${space.name}: ${who[0]} is back, since ${who[1]}, who had removed it, was removed`
        )
      }),
      space.on('asked', ({ device, name, person, formerly }) => {
        const value = { event: 'asked', space: space.id, device, name, person, formerly }
        this.#out.emit(value, () => {
          const what = `${name}, a copy of ${nameOf(space, formerly)}, asks to be let in: skein admit ${device.slice(0, 8)}`
          return this.#line(space, what)
        })
      }),
      space.on('fork', ({ device }) => {
        this.#out.warn(
          `${space.name}: the log of ${nameOf(space, device)} has two versions; one stays, and what hung on the other is written again`
        )
      }),
      space.on('copy-failed', ({ device, why, entries }) => {
        const what = counted(entries, 'entry', 'entries')
        this.#out.warn(
          why === 'lost'
            ? `${space.name}: ${nameOf(space, device)} no longer has ${what} that it had confirmed`
            : `${space.name}: ${nameOf(space, device)} says it has ${what}, and does not give them`
        )
      }),
      space.on('storage', ({ error }) => {
        if (error !== null) this.#out.warn(`${space.name}: ${error.message} (${error.code})`)
        else this.#out.note(`${space.name}: the storage works again`)
      })
    )
    for (const device of space.peers) this.#peer(space, device, true)
  }

  /** A copy of this home runs at the same time. */
  copied(where: 'here' | 'elsewhere'): void {
    this.#out.emit({ event: 'copied', where }, () =>
      where === 'here'
        ? 'This home is a copy of one that is in use elsewhere: it is read-only from here on, and keeps what is typed; `skein renew` makes it a device of its own'
        : 'A copy of this home is in use elsewhere. It steps aside if it was found to be one'
    )
  }

  stop(): void {
    for (const stop of this.#stops) stop()
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  /** Tells what it has gathered. */
  flush(): void {
    for (const { space, documentsByDevice, edits } of this.#changesBySpace.values()) {
      for (const [device, documents] of documentsByDevice) {
        const names = [...documents]
        const value = {
          event: 'changed',
          space: space.id,
          by: { device, name: nameOf(space, device) },
          documents: names,
          edits
        }
        this.#out.emit(value, () => {
          const { style } = this.#out
          const many =
            names.length > 3 ? ` ${style.dim(`(${counted(names.length, 'document')})`)}` : ''
          return this.#line(space, `${nameOf(space, device)} changed ${listed(names)}${many}`)
        })
      }
    }
    this.#changesBySpace.clear()
  }

  #peer(space: Space, device: DeviceId, isConnected: boolean): void {
    const name = nameOf(space, device)
    const transport = space.replicas().find((replica) => replica.device === device)?.transport
    const value = {
      event: isConnected ? 'connected' : 'disconnected',
      space: space.id,
      device,
      name
    }
    this.#out.emit(isConnected ? { ...value, transport: transport ?? null } : value, () => {
      const by = transport == null ? '' : this.#out.style.dim(` by ${transport}`)
      return this.#line(space, isConnected ? `${name} is connected${by}` : `${name} is gone`)
    })
  }

  #members(
    space: Space,
    before: ReadonlyMap<DeviceId, Member>,
    now: ReadonlyMap<DeviceId, Member>
  ): void {
    for (const { device, name, role } of now.values()) {
      const was = before.get(device)?.role
      if (was === role) continue
      const value = { event: 'member', space: space.id, device, name, role }
      const what = was === undefined ? `is in, as ${role}` : `is ${role} now`
      this.#out.emit(value, () => this.#line(space, `${name} ${what}`))
    }
    for (const { device, name } of before.values()) {
      if (now.has(device)) continue
      const value = { event: 'member', space: space.id, device, name, role: null }
      this.#out.emit(value, () => this.#line(space, `${name} is out now`))
    }
  }

  #edited(space: Space, name: string, device: DeviceId): void {
    let changes = this.#changesBySpace.get(space.id)
    if (changes === undefined) {
      changes = { space, documentsByDevice: new Map(), edits: 0 }
      this.#changesBySpace.set(space.id, changes)
    }
    const documents = changes.documentsByDevice.get(device) ?? new Set()
    changes.documentsByDevice.set(device, documents.add(name))
    changes.edits++
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      this.flush()
    }, gatherMs)
  }

  #line(space: Space, text: string): string {
    const { style } = this.#out
    return `${style.dim(timeOfDay(Date.now()))}  ${style.bold(space.name)}  ${text}`
  }
}

function rolesIn(space: Space): Map<DeviceId, Member> {
  return new Map(space.members().map((member) => [member.device, member]))
}

function nameOf(space: Space, device: DeviceId): string {
  return space.members().find((member) => member.device === device)?.name ?? device.slice(0, 8)
}
