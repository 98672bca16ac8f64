/**
 * The tab that leads: owns the device, does what tabs ask (this one too), and tells them what happens. Whatever a tab has
 * asked is answered once, or not at all when another tab takes the lead; then the asker begins anew there.
 */
import type { Copies } from '../sync/holdings.ts'
import type { Attachment } from '../attachments.ts'
import { SkeinError } from '../errors.ts'
import type { LogId } from '../log/entry.ts'
import type { Skein } from '../skein.ts'
import type { CreateSpaceOptions, SkeinEvents } from '../skein-options.ts'
import type { Space } from '../space.ts'
import type { SpaceEvents } from '../space-events.ts'
import {
  packPayload,
  wireError,
  type DeviceState,
  type Reply,
  type Request,
  type SpaceState
} from './messages.ts'

type EventNames<Events> = Record<keyof Events, true>

/** A new event does not compile until it stands here. */
const deviceEvents: EventNames<SkeinEvents> = {
  connection: true,
  disconnection: true,
  'space-failed': true,
  copied: true,
  'peer-error': true
}
const spaceEvents: EventNames<SpaceEvents> = {
  members: true,
  peers: true,
  status: true,
  synced: true,
  document: true,
  edit: true,
  entry: true,
  holdings: true,
  storage: true,
  'peer-error': true,
  asked: true,
  excluded: true,
  returned: true,
  split: true,
  'copy-failed': true,
  fork: true
}

export interface LeaderOptions {
  readonly skein: Skein
  readonly send: (to: string | null, body: Reply) => void
  /** Resolves when that tab is gone. */
  readonly whenGone: (tab: string) => Promise<void>
}

interface Attached {
  readonly attachment: Attachment
  readonly tab: string
  readonly space: string
  /** The cut of what it wrote last. */
  cut: ReadonlyMap<LogId, number> | null
  holders: string
}

export class Leader {
  readonly #options: LeaderOptions
  readonly #attachedByKey = new Map<string, Attached>()
  readonly #abortersByCall = new Map<string, AbortController>()
  readonly #iteratorsByKey = new Map<
    string,
    { iterator: AsyncGenerator<unknown>; aborter: AbortController }
  >()
  /** By tab and space, what its documents there write under. */
  readonly #counterByWriter = new Map<string, number | Promise<number>>()
  readonly #tabs = new Set<string>()
  readonly #watched = new Set<Space>()
  #isStopped = false

  constructor(options: LeaderOptions) {
    this.#options = options
    const { skein } = options
    for (const event of Object.keys(deviceEvents) as (keyof SkeinEvents)[]) {
      skein.on(event, (payload: object) => this.#deviceEvent(event, payload))
    }
  }

  /** After the device is ready. */
  start(): void {
    this.#watchSpaces()
    this.#send(null, { kind: 'leading' })
  }

  /** Says nothing any more. */
  stop(): void {
    this.#isStopped = true
    for (const aborter of this.#abortersByCall.values()) aborter.abort()
  }

  receive(tab: string, request: Request): void {
    if (this.#isStopped) return
    if (!this.#tabs.has(tab)) {
      this.#tabs.add(tab)
      void this.#options.whenGone(tab).then(() => this.#forget(tab))
    }
    if (request.kind === 'call') void this.#answer(tab, request)
    else if (request.kind === 'abort') this.#abortersByCall.get(`${tab}/${request.id}`)?.abort()
    else if (request.kind === 'bye') this.#forget(tab)
    else {
      const { attachment, update, clientId } = request
      this.#attachedByKey.get(attachment)?.attachment.sendPresence(update, clientId)
    }
  }

  async #answer(
    tab: string,
    { id, method, args }: Extract<Request, { kind: 'call' }>
  ): Promise<void> {
    const call = `${tab}/${id}`
    const aborter = new AbortController()
    this.#abortersByCall.set(call, aborter)
    try {
      const value = await this.#do(tab, method, args, aborter.signal)
      this.#watchSpaces()
      const isChange = changesDevice.has(method) || args[1] === 'leave'
      const device = isChange || method === 'hello' ? this.#device() : null
      this.#send(tab, { kind: 'answer', id, value, device })
      // The others hear of a space that has come or gone.
      if (isChange) this.#deviceEvent('changed', {})
    } catch (error) {
      if (error instanceof UnknownAttachment) this.#send(tab, { kind: 'unknown', id })
      else this.#send(tab, { kind: 'failure', id, error: wireError(error) })
    } finally {
      this.#abortersByCall.delete(call)
    }
  }

  async #do(
    tab: string,
    method: string,
    args: readonly unknown[],
    signal: AbortSignal
  ): Promise<unknown> {
    const { skein } = this.#options
    const text = (at: number): string => args[at] as string
    switch (method) {
      case 'hello':
        return null
      case 'createSpace':
        return (await skein.createSpace(args[0] as CreateSpaceOptions)).id
      case 'join':
        return (await skein.join(text(0), { ...(args[1] as object), signal })).id
      case 'space': {
        // Whatever a space can be asked; the caller's signal stood in its options.
        const space = skein.space(text(0))
        const given = args
          .slice(3)
          .map((arg, i): unknown => (i === args[2] ? { ...(arg as object), signal } : arg))
        if (text(1) === 'contentsOf') given[0] = streamOf(given[0] as Uint8Array[])
        const asked = space[text(1) as 'entry'] as (...args: unknown[]) => Promise<unknown>
        return asked.apply(space, given)
      }
      case 'mirror':
        return skein.mirror(args[0] as { hints?: string[] })
      case 'becomeOwnDevice':
        return skein.becomeOwnDevice(args[0] as { name?: string })
      case 'recover':
        return (await skein.recover(text(0), { ...(args[1] as object), signal })).id
      case 'import': {
        const options = { ...(args[1] as object), signal }
        const { space, ...imported } = await skein.import(
          streamOf(args[0] as Uint8Array[]),
          options
        )
        return { ...imported, space: space.id }
      }
      case 'iterate': {
        const space = skein.space(text(1))
        const aborter = new AbortController()
        const begun = space[text(2) as 'entries']({
          ...(args[3] as object),
          signal: aborter.signal
        })
        this.#iteratorsByKey.set(text(0), { iterator: begun, aborter })
        return null
      }
      case 'next': {
        const begun = this.#iteratorsByKey.get(text(0))
        if (begun === undefined) throw new UnknownAttachment()
        return begun.iterator.next()
      }
      case 'return': {
        this.#iteratorsByKey.get(text(0))?.aborter.abort()
        this.#iteratorsByKey.delete(text(0))
        return null
      }
      case 'attach':
        return this.#attach(tab, args as AttachArgs)
      case 'client-id':
        return this.#attached(text(0)).attachment.clientId()
      case 'read':
        return this.#attached(text(0)).attachment.read()
      case 'append': {
        const attached = this.#attached(text(0))
        const [, update, resets] = args as AppendArgs
        const appended = await attached.attachment.append(update, resets)
        if (appended === null) return null
        const { cut, to } = appended
        attached.cut = cut
        this.#tellHolders(text(0), attached)
        return { cut, to }
      }
      case 'keep':
        return this.#attached(text(0)).attachment.keep(args[1] as Uint8Array[])
      case 'flush':
        return this.#attached(text(0)).attachment.flush()
      case 'held': {
        const { attachment } = this.#attached(text(0))
        return attachment.whenHeldBy(
          args[1] as Map<LogId, number> | null,
          args[2] as Copies,
          signal
        )
      }
      case 'ask-presence':
        return this.#attached(text(0)).attachment.askPresence()
      case 'detach': {
        this.#attached(text(0)).attachment.close()
        this.#attachedByKey.delete(text(0))
        return null
      }
      default:
        throw new TypeError(`Nobody knows what ${method} means`)
    }
  }

  async #attach(tab: string, [key, id, name, before]: AttachArgs): Promise<AttachAnswer> {
    const space = this.#options.skein.space(id)
    // Asked twice, it is the tab's last word that counts.
    this.#attachedByKey.get(key)?.attachment.close()
    const writer = `${tab}/${id}`
    const known = before?.clientCounter ?? this.#counterByWriter.get(writer) ?? null
    const attaching = space.attachable.attach(
      name,
      {
        receive: (number, edit, clientIds) =>
          this.#send(tab, { kind: 'edit', attachment: key, number, edit, clientIds }),
        receivePresence: (from, clientId, update) =>
          this.#send(tab, { kind: 'presence', attachment: key, from, clientId, update }),
        reset: (isNewWriter) => {
          if (isNewWriter) this.#counterByWriter.delete(writer)
          this.#send(tab, { kind: 'reset', attachment: key, isNewWriter })
        }
      },
      known
    )
    if (known === null) {
      // Whoever opens another document meanwhile gets the same.
      const counter = attaching.then(({ clientCounter }) => clientCounter)
      this.#counterByWriter.set(writer, counter)
      counter.catch(() => this.#counterByWriter.delete(writer)) // Told where it is attached.
    } else this.#counterByWriter.set(writer, known)
    const attachment = await attaching
    const attached = { attachment, tab, space: id, cut: null, holders: '' }
    this.#attachedByKey.set(key, attached)
    const { clientCounter } = attachment
    // Of what it wrote, and heard nothing of, the first so many are in the log.
    const written = before === null ? [] : await attachment.written(before.from)
    return { clientCounter, clientId: attachment.clientId(), written, ...(await attachment.read()) }
  }

  #attached(key: string): Attached {
    const attached = this.#attachedByKey.get(key)
    if (attached === undefined) throw new UnknownAttachment()
    return attached
  }

  #tellHolders(key: string, attached: Attached): void {
    if (attached.cut === null) return
    const devices = attached.attachment.devicesHolding(attached.cut)
    const holders = devices.join()
    if (holders === attached.holders) return
    attached.holders = holders
    this.#send(attached.tab, { kind: 'holders', attachment: key, devices })
  }

  #forget(tab: string): void {
    this.#tabs.delete(tab)
    for (const [key, { attachment, tab: owner }] of this.#attachedByKey) {
      if (owner !== tab) continue
      attachment.close()
      this.#attachedByKey.delete(key)
    }
  }

  #watchSpaces(): void {
    for (const space of this.#options.skein.spaces()) {
      if (this.#watched.has(space)) continue
      this.#watched.add(space)
      for (const event of Object.keys(spaceEvents) as (keyof SpaceEvents)[]) {
        space.on(event, (payload: object) => this.#spaceEvent(space, event, payload))
      }
    }
  }

  #deviceEvent(event: string, payload: object): void {
    if (this.#isStopped) return
    const device = this.#device()
    if (device !== null) {
      this.#send(null, { kind: 'device-event', event, payload: packPayload(payload), device })
    }
  }

  #spaceEvent(space: Space, event: string, payload: object): void {
    if (this.#isStopped) return
    const state = stateOf(space)
    const body = { space: space.id, event, payload: packPayload(payload), state }
    this.#send(null, { kind: 'space-event', ...body })
    if (event !== 'holdings' && event !== 'peers' && event !== 'members') return
    for (const [key, attached] of this.#attachedByKey) {
      if (attached.space === space.id) this.#tellHolders(key, attached)
    }
  }

  /** Null before it is ready. */
  #device(): DeviceState | null {
    const { skein } = this.#options
    try {
      const { id, name, peers, introduction, copied } = skein
      const spaces = skein.spaces().map((space) => ({
        ...stateOf(space),
        edits: space.documents().map((name): [string, number] => [name, space.editCount(name)])
      }))
      return { id, name, peers, introduction, copied, spaces }
    } catch (error) {
      if (error instanceof SkeinError && error.code === 'CLOSED') return null
      throw error
    }
  }

  #send(to: string | null, body: Reply): void {
    if (!this.#isStopped) this.#options.send(to, body)
  }
}

/** The leader has never heard of what a tab names: it was another leader's. */
class UnknownAttachment extends Error {}

/** Calls after which there is a space that was not there. */
const changesDevice: ReadonlySet<string> = new Set(['createSpace', 'join', 'recover', 'import'])

/** `before`: what another leader gave, and the place in the log from which on what was written is not known. */
export type AttachArgs = readonly [
  key: string,
  space: string,
  name: string,
  before: { readonly clientCounter: number; readonly from: number } | null
]

/** Answered with null where the document has been reset since; see `Attachment`. */
export type AppendArgs = readonly [key: string, update: Uint8Array, resets: number]

export interface AttachAnswer extends Awaited<ReturnType<Attachment['read']>> {
  readonly clientCounter: number
  readonly clientId: number | null
  readonly written: Awaited<ReturnType<Attachment['written']>>
}

async function* streamOf(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
  yield* pieces
}

function stateOf(space: Space): SpaceState {
  const { id, name, role, readOnly, peers, synced, waiting, logBytes, logLength } = space
  const mayWrite = space.attachable.mayWrite()
  const members = space.members()
  const { recoveryKey, missing, received } = space
  const [formerMembers, replicas] = [space.formerMembers(), space.replicas()]
  return {
    id,
    name,
    role,
    readOnly,
    mayWrite,
    peers,
    synced,
    waiting,
    logBytes,
    logLength,
    members,
    recoveryKey,
    missing,
    received,
    formerMembers,
    replicas
  }
}
