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
import { hangsOnGone, type Appended } from '../log/group.ts'
import type { LogId } from '../log/entry.ts'
import { notAllowed } from '../own-edits.ts'
import type { Clock } from '../platform.ts'
import type { DeviceId } from '../trust/members.ts'
import type { IncomingEdit } from '../views/applier.ts'
import type { AppendArgs, AttachAnswer, AttachArgs } from './leader.ts'
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
  readonly clientId: number
  readonly isWanted: () => boolean
  /** The resets that the leader was told with it; null while it is not with the leader. */
  sent: number | null
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
  /** How often the leader had reset the document when the content was read that it shows. */
  #resets = 0
  /** … and of what was read last, which it may not show yet. */
  #resetsRead = 0
  #resetting: Promise<void> | null = null
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
    for (const pending of this.#pending) pending.sent = null
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
      this.#beginReset(reply.isNewWriter)
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

  #beginReset(isNewWriter: boolean): void {
    const resetting = this.#reset(isNewWriter, this.#resetting).finally(() => {
      if (this.#resetting === resetting) this.#resetting = null
      this.#writePending()
    })
    this.#resetting = resetting
  }

  async #reset(isNewWriter: boolean, before: Promise<void> | null): Promise<void> {
    if (isNewWriter) this.#takeNewCounter()
    await this.document.reset('entries-left').catch((error: unknown) => {
      // It shows still what is gone. Its events have told; nothing of it is written any more.
      for (const pending of this.#pending) this.#reject(pending, error)
    })
    await before
    this.#resets = this.#resetsRead
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
      append: (update, isWanted, clientId) => this.#append({ update, isWanted, clientId }),
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
        for (const pending of this.#pending) pending.reject(closedError())
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

  #take({ stored, edits, clientIds, isCanonical, resets }: AttachedContent): {
    stored: AttachedContent['stored']
    edits: AttachedContent['edits'][number][]
  } {
    this.#isCanonical = isCanonical
    this.#resetsRead = resets
    // While it is reset, it shows what was read before until that is done.
    if (this.#resetting === null) this.#resets = resets
    edits.forEach((edit, i) => this.#know(edit, clientIds[i]!))
    return { stored, edits: [...edits] }
  }

  #know(edit: { device: DeviceId; clientCounter: number }, clientIds: readonly number[]): void {
    this.#clientIdsByWriter.set(`${edit.device}/${edit.clientCounter}`, clientIds)
  }

  #append(edit: Pick<Pending, 'update' | 'isWanted' | 'clientId'>): Promise<Appended> {
    return new Promise<Pick<Appended, 'cut'>>((resolve, reject) => {
      this.#pending.push({ ...edit, sent: null, resolve, reject })
      this.#writePending()
    }) as Promise<Appended>
  }

  /** In the order in which they were made: those after a reset when it is known what became of those before. */
  #writePending(): void {
    if (!this.#isAttached || this.#isClosed || this.#resetting !== null) return
    if (this.#pending.some(({ sent }) => sent !== null && sent !== this.#resets)) return
    for (const pending of this.#pending) {
      if (pending.sent !== null) continue
      if (pending.clientId !== this.#clientId) void this.#keep(pending)
      else if (!pending.isWanted()) this.#reject(pending, hangsOnGone())
      else void this.#write(pending)
    }
  }

  /** Of a session whose entries do not count any more: it is written again, or may not be written. */
  async #keep(pending: Pending): Promise<void> {
    const { link, key, space } = this.#options
    pending.sent = this.#resets
    try {
      if (space().mayWrite === 'no') throw notAllowed()
      await this.#again(() => link.call('keep', [key, [pending.update]]))
      this.#done(pending)
      pending.resolve({ cut: everything })
    } catch (error) {
      this.#reject(pending, error)
    }
  }

  async #write(pending: Pending): Promise<void> {
    const { link, key } = this.#options
    const args: AppendArgs = [key, pending.update, this.#resets]
    pending.sent = this.#resets
    try {
      const appended = await link.call<{ cut: Cut; to: number } | null>('append', args)
      if (appended === null) {
        // The reset that the leader knows of comes, or is done: by then it is known whether it hangs on what is gone.
        pending.sent = null
        this.#writePending()
        return
      }
      const { cut, to } = appended
      this.#from = Math.max(this.#from, to)
      this.#done(pending)
      pending.resolve({ cut })
    } catch (error) {
      // It stays, and the next leader is asked whether it is there.
      if (error instanceof LeaderGone) return
      this.#reject(pending, error)
    }
  }

  #reject(pending: Pending, error: unknown): void {
    this.#done(pending)
    pending.reject(error)
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
    // What the former leader took in and had not told this tab.
    const isAllThere = this.document.catchUp(stored, edits)
    // What is edited from here on comes after what is pending.
    this.#isAttached = true
    // Entries have left, and nobody had told this tab.
    if (!isAllThere) this.#beginReset(false)
    this.#writePending()
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
      // Their own answers are on their way, and come before this one's do; or they wait for a reset.
      await this.#resetting
      await new Promise<void>((resolve) => this.#options.clock.soon(resolve))
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
