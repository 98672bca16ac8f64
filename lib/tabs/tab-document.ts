/**
 * A document in one tab: a `Document` like any other, whose host is the tab that leads. Keeps what the leader has not
 * acknowledged, and finds out from a new one which of it is in the log: nothing is lost, nothing written twice.
 */
import type * as Y from 'yjs'
import { equalBytes } from '../bytes.ts'
import type { AttachedContent } from '../attachments.ts'
import { Document } from '../document.ts'
import type { DocumentHost } from '../document-host.ts'
import { SkeinError } from '../errors.ts'
import type { Appended } from '../log/group.ts'
import type { LogId } from '../log/entry.ts'
import type { Clock } from '../platform.ts'
import type { DeviceId } from '../trust/members.ts'
import type { IncomingEdit } from '../views/applier.ts'
import type { AttachAnswer, AttachArgs } from './leader.ts'
import { LeaderGone, type Link } from './link.ts'
import type { Reply, SpaceState } from './messages.ts'

export interface TabDocumentOptions {
  readonly key: string
  readonly name: string
  readonly doc: Y.Doc | undefined
  readonly link: Link
  readonly clock: Clock
  readonly space: () => SpaceState
  readonly openSubdocument: (subdocument: Y.Doc) => Promise<void>
  readonly onClosed: () => void
}

interface Pending {
  readonly update: Uint8Array
  readonly resolve: (appended: Pick<Appended, 'cut'>) => void
  readonly reject: (error: unknown) => void
}

type Cut = ReadonlyMap<LogId, number>

/** Stands for everything that the leader has delivered. */
const everything: Cut = new Map()

export class TabDocument {
  readonly document: Document
  readonly #options: TabDocumentOptions
  readonly #clientIdsByWriter = new Map<string, readonly number[]>()
  /** Edits that the leader has not acknowledged, oldest first. */
  #pending: Pending[] = []
  #attached: Promise<AttachAnswer> | null = null
  #isAttached = false
  #clientCounter: number | null = null
  #clientId: number | null = null
  /** Where in the log what is not acknowledged must be, if it is there. */
  #from = 0
  #holders: DeviceId[] = []
  /** What a new leader delivers before this document is as far as that leader is. */
  #held: { number: number; edit: IncomingEdit }[] | null = null
  #isCanonical = false
  #isFirstRead = true
  #isClosed = false

  constructor(options: TabDocumentOptions) {
    this.#options = options
    this.document = new Document(options.name, options.doc, this.#host())
  }

  /** A new leader has never heard of this document. */
  leading(): void {
    this.#attached = null
    // One that is being attached asks again by itself.
    if (!this.#isAttached || this.#isClosed) return
    this.#isAttached = false
    this.#held = []
    void this.#reattach()
  }

  receive(reply: Reply): void {
    const { document } = this
    if (reply.kind === 'edit') {
      const { number, edit } = reply
      this.#know(edit, reply.clientIds)
      if (this.#held !== null) this.#held.push({ number, edit })
      else document.receive(number, edit)
    } else if (reply.kind === 'presence') {
      const { from: device, clientId, update } = reply
      document.receivePresence({ device, clientCounter: clientId, clientId }, update)
    } else if (reply.kind === 'reset') {
      if (reply.isNewWriter) this.#takeNewCounter()
      document.reset('entries-left').catch(() => {}) // Its events have told.
    } else if (reply.kind === 'holders') {
      this.#holders = reply.devices
      document.safetyChanged()
    }
  }

  /** This device has been let in, or the like: what it is called may be known now. */
  async membersChanged(): Promise<void> {
    if (this.#clientId === null && this.#isAttached) {
      const { link, key } = this.#options
      this.#clientId = await link.call<number | null>('client-id', [key]).catch(() => null)
    }
    this.document.mayWriteChanged()
    this.document.safetyChanged()
  }

  /** The next reading attaches anew, under a client counter that nothing was written under. */
  #takeNewCounter(): void {
    this.#clientCounter = null
    this.#attached = null
    this.#isAttached = false
    this.#isFirstRead = true
  }

  #host(): DocumentHost {
    const { clock, link, key, space, openSubdocument, onClosed } = this.#options
    return {
      clock,
      clientId: () => this.#clientId ?? 0,
      mayWrite: () => space().mayWrite,
      peers: () => space().peers,
      isSynced: () => space().synced,
      clientIdsOf: (device, counter) => [
        ...(this.#clientIdsByWriter.get(`${device}/${counter}`) ?? [])
      ],
      append: (update) => this.#append(update),
      keep: (updates) => this.#again(() => link.call('keep', [key, updates])),
      flush: () => this.#flush(),
      read: () => this.#read(),
      // The leader merges by itself.
      writeState: () => Promise.resolve(),
      bytesToMerge: () => ({ since: 0, merged: 0 }),
      isCanonical: () => this.#isCanonical,
      // What is visible is not compared with other devices' from a tab.
      becomeCanonical: () => {},
      readAll: async () => {
        const { edits } = this.#take(
          await this.#again(() => link.call<AttachedContent>('read', [key]))
        )
        return edits
      },
      documentCut: () => '',
      sendLook: () => {},
      sendPresence: (update) => {
        if (this.#clientId !== null) link.sendPresence(key, update, this.#clientId)
      },
      askPresence: () => void link.call('ask-presence', [key]).catch(() => {}), // Who is present shows up anyway.
      cut: () => everything,
      devicesHolding: () => this.#holders,
      whenHeldBy: (cut, copies, signal) =>
        this.#again(() =>
          link.call('held', [key, cut === everything ? null : cut, copies], signal)
        ),
      openSubdocument,
      onClosed: () => {
        this.#isClosed = true
        for (const { reject } of this.#pending) reject(closedError())
        if (this.#isAttached) link.call('detach', [key]).catch(() => {}) // With its leader it is gone as well.
        onClosed()
      }
    }
  }

  #attach(): Promise<AttachAnswer> {
    this.#attached ??= this.#again(async () => {
      const { link, key, name, space } = this.#options
      const clientCounter = this.#clientCounter
      const before = clientCounter === null ? null : { clientCounter, from: this.#from }
      const args: AttachArgs = [key, space().id, name, before]
      const answer = await link.call<AttachAnswer>('attach', args)
      this.#clientCounter = answer.clientCounter
      this.#clientId = answer.clientId
      return answer
    })
    return this.#attached
  }

  async #read(): Promise<
    Pick<AttachedContent, 'stored'> & { edits: AttachedContent['edits'][number][] }
  > {
    const { link, key } = this.#options
    const answer = this.#isFirstRead
      ? await this.#attach()
      : await this.#again(() => link.call<AttachedContent>('read', [key]))
    this.#isFirstRead = false
    this.#isAttached = true
    return this.#take(answer)
  }

  #take({ stored, edits, clientIds, isCanonical }: AttachedContent): {
    stored: AttachedContent['stored']
    edits: AttachedContent['edits'][number][]
  } {
    this.#isCanonical = isCanonical
    edits.forEach((edit, i) => this.#know(edit, clientIds[i]!))
    return { stored, edits: [...edits] }
  }

  #know(edit: { device: DeviceId; clientCounter: number }, clientIds: readonly number[]): void {
    this.#clientIdsByWriter.set(`${edit.device}/${edit.clientCounter}`, clientIds)
  }

  #append(update: Uint8Array): Promise<Appended> {
    return new Promise<Pick<Appended, 'cut'>>((resolve, reject) => {
      const pending = { update, resolve, reject }
      this.#pending.push(pending)
      if (this.#isAttached) void this.#write(pending)
    }) as Promise<Appended>
  }

  async #write(pending: Pending): Promise<void> {
    const { link, key } = this.#options
    try {
      const { cut, to } = await link.call<{ cut: Cut; to: number }>('append', [key, pending.update])
      this.#from = Math.max(this.#from, to)
      this.#done(pending)
      pending.resolve({ cut })
    } catch (error) {
      // It stays, and the next leader is asked whether it is there.
      if (error instanceof LeaderGone) return
      this.#done(pending)
      pending.reject(error)
    }
  }

  #done(pending: Pending): void {
    this.#pending = this.#pending.filter((other) => other !== pending)
  }

  async #reattach(): Promise<void> {
    let answer: AttachAnswer
    try {
      answer = await this.#attach()
    } catch {
      return // Closed meanwhile; or the space is gone, which is told where it is used.
    }
    const { edits, stored } = this.#take(answer)
    for (const { update, cut, to } of answer.written) {
      const pending = this.#pending[0]
      if (pending === undefined || !equalBytes(pending.update, update)) continue
      this.#from = Math.max(this.#from, to)
      this.#done(pending)
      pending.resolve({ cut })
    }
    // In the order in which they were made; what is edited from here on comes after them.
    this.#isAttached = true
    for (const pending of this.#pending) void this.#write(pending)
    // What the former leader took in and had not told this tab.
    this.document.catchUp(stored, edits)
    const held = this.#held ?? []
    this.#held = null
    for (const { number, edit } of held) {
      if (number >= stored.filed) this.document.receive(number, edit)
    }
    const presence = this.document.presence()
    if (presence !== null && this.#clientId !== null) {
      this.#options.link.sendPresence(this.#options.key, presence, this.#clientId)
    }
  }

  /** Resolves when the leader, whoever that is by then, has made durable what was edited here. */
  async #flush(): Promise<void> {
    const { link, key } = this.#options
    // Those that are there now: whoever types on adds others all the time.
    const last = this.#pending.at(-1)
    while (last !== undefined && this.#pending.includes(last) && !this.#isClosed) {
      await this.#again(async () => {
        await this.#attach()
        return link.call('flush', [key])
      })
      // Their own answers are on their way, and come before this one's do.
      await Promise.resolve()
    }
  }

  /** Asks until a leader has answered. */
  async #again<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      if (this.#isClosed) throw closedError()
      try {
        return await ask()
      } catch (error) {
        if (!(error instanceof LeaderGone)) throw error
        // The next turn: by then it is known that there is another one.
        await new Promise<void>((resolve) => this.#options.clock.soon(resolve))
      }
    }
  }
}

function closedError(): SkeinError {
  return new SkeinError('CLOSED', 'The document has been closed')
}
