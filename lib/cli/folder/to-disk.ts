/** The other direction of folder sync: what the space holds goes to the disk. */
import * as Y from 'yjs'
import { anchoredTextOf } from './anchored-text.ts'
import { isCode } from './disk-file.ts'
import type { FileRecord } from './local-index.ts'
import { forEach, isGone, type Parts, type Round } from './parts.ts'
import { ancestorsOf, PathRules } from './path-names.ts'
import { placeFiles, type Claim, type Placement } from './placement.ts'
import { SharedTree, textName } from './shared-tree.ts'
import { hashOfText } from './text-file.ts'

/** What is a name at all, on every device alike. */
const anywhere = new PathRules([], 'linux')

export class ToDisk {
  readonly #parts: Parts
  #placement: Placement = placeFiles([], [])
  #isPlaced = false
  /** Pairs of files of one name that were found to differ, with how many edits they had. */
  readonly #different = new Map<string, string>()
  #told: Set<string> | null = null

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** The directory, or whether something in it is deleted, may have changed. */
  invalidate(): void {
    this.#isPlaced = false
  }

  /** Where everything has to be now. */
  async placement(): Promise<Placement> {
    while (!this.#isPlaced) {
      this.#isPlaced = true
      const { tree } = this.#parts
      const claims: Claim[] = []
      for (const claim of tree.claims.values()) {
        if (!isName(claim.path) || (await isGone(this.#parts, claim.id))) continue
        claims.push(claim)
      }
      this.#placement = placeFiles(claims, tree.folders.filter(isName))
      await this.#uniteEqual()
    }
    return this.#placement
  }

  async run(round: Round): Promise<void> {
    const placement = await this.placement()
    await this.#makeFolders(round, placement)
    await this.#removed(round, placement)
    await this.#moved(round, placement)
    await this.#edited(round)
    await this.#created(round, placement)
    await this.#removeFolders(placement)
    this.#tellConflicts(placement)
  }

  /** Of two files that claim one name, the later goes if they hold the same. */
  async #uniteEqual(): Promise<void> {
    const { tree, index, space, documents, directory, merge, conflict } = this.#parts
    if (space.readOnly) return
    for (const [id, owner] of this.#placement.displacedBy) {
      if (owner === null) continue
      const names = [id, owner].map((one) => SharedTree.documentOf(one))
      const pair = `${id} ${owner}`
      const counts = names.map((name) => space.editCount(name)).join(' ')
      if (this.#different.get(pair) === counts) continue
      const [text, ownerText] = await Promise.all(
        names.map((name) =>
          documents.use(name, async ({ doc }) => anchoredTextOf(doc.getText(textName)).text)
        )
      )
      if (text !== ownerText) {
        this.#different.set(pair, counts)
        continue
      }
      const seen = await documents.use(names[0]!, async ({ doc }) =>
        Y.decodeStateVector(Y.encodeStateVector(doc))
      )
      const path = this.#placement.pathById.get(owner)!
      const record = index.recordsById.get(id)
      tree.change({ remove: [{ id, seen }] })
      this.#isPlaced = false
      await directory.saved()
      // The file that lies here under the name goes on as the other's: an editor that has it open sees nothing.
      const isHere = record?.path === path && record.hash === hashOfText(text ?? '')
      if (isHere && (index.recordsById.get(owner)?.signature ?? null) === null)
        await merge.rebind(record, owner)
      conflict({ path, kind: 'same-file' })
    }
  }

  async #removed(round: Round, placement: Placement): Promise<void> {
    const { index, merge, tree, tell } = this.#parts
    const gone = [...index.recordsById.values()].filter(
      ({ id, frozen }) =>
        !placement.pathById.has(id) &&
        tree.claims.has(id) &&
        frozen === null &&
        !round.untouchable.has(id)
    )
    await forEach(
      gone,
      async (record) => {
        const wasThere = record.signature !== null
        if (!(await merge.remove(record))) round.again(0)
        else if (wasThere) tell({ direction: 'in', kind: 'deleted', path: record.path })
      },
      ({ path }, error) => round.failed(path, error)
    )
  }

  async #moved(round: Round, placement: Placement): Promise<void> {
    const { index, disk, merge } = this.#parts
    const moves = new Map<FileRecord, string>()
    for (const record of index.recordsById.values()) {
      const path = placement.pathById.get(record.id)
      if (path === undefined || record.path === path) continue
      if (record.signature === null) record.path = path
      else if (round.untouchable.has(record.id)) continue
      else if (this.#mayBe(round, path)) moves.set(record, path)
    }
    const held = new Map<FileRecord, string>()
    const tenants = moves.size === 0 ? new Set<string>() : this.#tenants()
    while (moves.size > 0) {
      let hasMoved = false
      for (const [record, path] of moves) {
        const aside = held.get(record)
        const from = record.path
        // Not in the moment when an editor has taken away the file that is known to be there.
        if (tenants.has(path)) continue
        const isDone =
          aside === undefined
            ? await this.#moveOne(round, record, path)
            : await this.#putBack(record, aside, path)
        if (!isDone) continue
        hasMoved = true
        moves.delete(record)
        if (aside === undefined) tenants.delete(from)
        tenants.add(path)
      }
      if (hasMoved) continue
      // They are in each other's way: one of them makes room.
      const next = [...moves.keys()].find(
        (record) => !held.has(record) && [...moves.values()].includes(record.path)
      )
      const aside = next && (await disk.setAside(next.path, merge.aside.holdName(next)))
      if (next === undefined) break
      if (typeof aside === 'string' && !(await merge.aside.restoreOther(next, aside))) {
        held.set(next, aside)
        tenants.delete(next.path)
      } else moves.delete(next)
    }
    for (const [record, path] of moves) {
      const aside = held.get(record)
      if (aside !== undefined) await merge.aside.unhold(record, aside)
      round.untouchable.add(record.id)
      if ((await disk.signature(path)) !== null) round.leftAlone.set(path, 'place-taken')
    }
  }

  async #moveOne(round: Round, record: FileRecord, path: string): Promise<boolean> {
    const { disk, index, merge, tell } = this.#parts
    const from = record.path
    try {
      const { isDone, aside } = await disk.move(from, path, merge.aside.nameOf(record))
      if (isDone) {
        record.path = path
        record.former = { path: from, ms: this.#parts.now() }
        await index.put(record)
      }
      if (aside !== null) await merge.aside.importMoved(record, aside)
      if (!isDone) return false
      tell({ direction: 'in', kind: 'renamed', path, from })
      return true
    } catch (error) {
      if (!isCode(error, 'ENOTDIR', 'EISDIR')) throw error
      round.leftAlone.set(path, 'place-taken')
      return false
    }
  }

  async #putBack(record: FileRecord, aside: string, path: string): Promise<boolean> {
    const { disk, index, tell } = this.#parts
    if (!(await disk.putNew(aside, path))) return false
    const from = record.path
    record.path = path
    record.former = { path: from, ms: this.#parts.now() }
    await index.put(record)
    await disk.discard(aside)
    tell({ direction: 'in', kind: 'renamed', path, from })
    return true
  }

  async #edited(round: Round): Promise<void> {
    const { index, space, merge, tell } = this.#parts
    const edited = [...index.recordsById.values()].filter(
      ({ id, signature, editCount }) =>
        signature !== null &&
        editCount !== space.editCount(SharedTree.documentOf(id)) &&
        !round.untouchable.has(id)
    )
    await forEach(
      edited,
      async (record) => {
        const written = await merge.export(record)
        if (written === 'changed') round.again(20)
        else if (written === 'too-large') round.leftAlone.set(record.path, 'too-large')
        else if (written === 'written') tell({ direction: 'in', kind: 'edited', path: record.path })
      },
      ({ path }, error) => round.failed(path, error)
    )
  }

  async #created(round: Round, placement: Placement): Promise<void> {
    const { index, merge, tell } = this.#parts
    const wanted: FileRecord[] = []
    const tenants = this.#tenants()
    for (const [id, path] of placement.pathById) {
      const record = index.recordsById.get(id)
      if (record !== undefined && record.signature !== null) continue
      if (!this.#mayBe(round, path) || round.untouchable.has(id)) continue
      if (round.taken.has(path)) {
        // Either it is not text, or it has yet to be read.
        if (round.leftAlone.has(path)) round.leftAlone.set(path, 'place-taken')
        continue
      }
      if (tenants.has(path)) round.again(20)
      else wanted.push(record ?? merge.newRecord(id, path))
    }
    await forEach(
      wanted,
      async (record) => {
        const written = await merge.export(record)
        if (written === 'written') tell({ direction: 'in', kind: 'created', path: record.path })
        else if (written === 'too-large') round.leftAlone.set(record.path, 'too-large')
        else round.leftAlone.set(record.path, 'place-taken')
      },
      (record, error) => {
        if (isCode(error, 'ENOTDIR', 'EISDIR')) round.leftAlone.set(record.path, 'place-taken')
        else round.failed(record.path, error)
      }
    )
  }

  /** Where the files lie that are on the disk. */
  #tenants(): Set<string> {
    const tenants = new Set<string>()
    for (const { path, signature } of this.#parts.index.recordsById.values())
      if (signature !== null) tenants.add(path)
    return tenants
  }

  /** Whether a file of the space may lie at a path on this device. */
  #mayBe(round: Round, path: string): boolean {
    const { rules } = this.#parts
    if (!rules.isAllowed(path)) {
      round.leftAlone.set(path, 'name-not-allowed')
      return false
    }
    if (rules.reasonFor(path, false) !== null) return false
    return ancestorsOf(path).every((folder) => rules.reasonFor(folder, true) === null)
  }

  async #makeFolders(round: Round, placement: Placement): Promise<void> {
    const { disk, index, rules } = this.#parts
    const missing = [...placement.folders].filter(
      (path) => !round.scan.folders.has(path) && rules.isAllowed(path) && this.#mayBe(round, path)
    )
    for (const path of missing.sort()) {
      try {
        await disk.makeFolders(`${path}/`)
        await index.putFolder(path)
      } catch (error) {
        if (!isCode(error, 'ENOTDIR', 'EEXIST')) throw error
        round.leftAlone.set(path, 'place-taken')
      }
    }
  }

  async #removeFolders(placement: Placement): Promise<void> {
    const { disk, index, tree } = this.#parts
    const gone = [...index.folders].filter((path) => !placement.folders.has(path))
    if (gone.length === 0 || tree.claims.size === 0) return
    // Those below others first.
    for (const path of gone.sort().reverse())
      if (await disk.removeFolder(path)) await index.removeFolder(path)
  }

  #tellConflicts(placement: Placement): void {
    const { conflict, tree } = this.#parts
    const told = new Set<string>()
    for (const id of placement.displacedBy.keys()) {
      const path = placement.pathById.get(id)!
      told.add(`${id} ${path}`)
      if (this.#told?.has(`${id} ${path}`) === false) conflict({ path, kind: 'same-name' })
    }
    for (const [id, path] of placement.pathById) {
      if (tree.deletion(id) === null) continue
      told.add(id)
      if (this.#told?.has(id) === false) conflict({ path, kind: 'edit-wins' })
    }
    this.#told = told
  }
}

function isName(path: string): boolean {
  return anywhere.isAllowed(path) && anywhere.reasonFor(path, false) !== 'hidden'
}
