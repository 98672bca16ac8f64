/** The entries of a space's documents, as the views have filed them and the feed reads them back. */
import type { Feed } from './log/feed.ts'
import type { EntryRef } from './log/read-back.ts'
import { clientIdOf } from './trust/keys.ts'
import type { DeviceId, Membership } from './trust/members.ts'
import type { IncomingEdit } from './views/applier.ts'
import { CanonicalOrder } from './views/canonical.ts'
import { decodeContent } from './views/edit.ts'
import type { StoredDocument, ViewStore } from './views/view-store.ts'

export interface DocumentEntriesOptions {
  readonly space: Uint8Array
  readonly member: (device: DeviceId) => Membership | undefined
  readonly views: ViewStore
  readonly feed: Feed
}

export class DocumentEntries {
  readonly #options: DocumentEntriesOptions

  constructor(options: DocumentEntriesOptions) {
    this.#options = options
  }

  /** What a document is made of: its merged state and the edits since, or all of them in their canonical order. */
  async read(id: string): Promise<{ stored: StoredDocument; edits: IncomingEdit[] }> {
    const { views } = this.#options
    if (views.document(id)?.isCanonical !== true) {
      const stored = await views.read(id)
      return { stored, edits: await this.readEdits(stored.since) }
    }
    const refiled = views.refiledOf(id)
    const refs = await views.readRefs(id)
    const order = new CanonicalOrder((device, counter) => this.clientIdsOf(device, counter))
    order.add(await this.readEdits(refs))
    return {
      stored: { state: null, since: refs, filed: refs.length, bytes: 0, refiled },
      edits: order.edits
    }
  }

  async readEdits(refs: readonly EntryRef[]): Promise<IncomingEdit[]> {
    const edits: IncomingEdit[] = []
    for (const ref of refs) {
      const { device, entry } = await this.#options.feed.readBack(ref)
      const { document: _, name: __, ...edit } = decodeContent(entry, this.#options.space)
      edits.push({ device, ref, deps: entry.deps, ...edit })
    }
    return edits
  }

  /** Files anew what counts of a document. False when all of it counts. */
  async refile(id: string, counts: (ref: EntryRef) => boolean): Promise<boolean> {
    const { views, feed } = this.#options
    for (;;) {
      const refs = await views.readRefs(id)
      const kept = refs.filter(counts)
      if (kept.length === refs.length) return false
      let bytes = 0
      for (const ref of kept) bytes += (await feed.readBack(ref)).entry.body.length
      // What was filed meanwhile is looked at as well.
      if (views.document(id)?.filed !== refs.length) continue
      await views.refile(id, kept, bytes)
      return true
    }
  }

  /** The client ids that a device writes under, by each salt that it was let in with. */
  clientIdsOf(device: DeviceId, clientCounter: number): number[] {
    const member = this.#options.member(device)
    if (member === undefined) return []
    const { signKey } = member.record
    const ids = member.salts.map((salt) =>
      clientIdOf(this.#options.space, signKey, salt, clientCounter)
    )
    return [...new Set(ids)]
  }
}
