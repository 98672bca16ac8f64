/**
 * Who made a document look different on different devices. An author puts an item between two that are neighbours in the
 * document it sees. What it has seen for certain is what it has referred to by then, with all that hangs on: if something of
 * that stands between the two, no honest device has written the item. Items that pass this converge in Yjs, so a document
 * that is split has at least one that does not. Those are left out while others are judged, and who has seen one is not named
 * for what it wrote later: an honest device that has it before its eyes writes beside it.
 */
import * as Y from 'yjs'
import { leaveMarksUntidied } from '../log/changes.ts'
import type { LogId } from '../log/entry.ts'
import type { DeviceId } from '../trust/members.ts'
import { referencesOf, sessionOf, type CanonicalOrder, type Placed } from './canonical.ts'
import { firstOf, integrateEdit } from './integrate.ts'

/** By client, up to which clock its structs have been seen. */
type Seen = ReadonlyMap<number, number>

const nothing: Seen = new Map()
const noLogs: ReadonlyMap<LogId, number> = new Map()

/** The devices that wrote what no honest one has. */
export function devicesToBlame(order: CanonicalOrder): Set<DeviceId> {
  const offences: Placed[] = []
  const seenByEdit = new Map<Placed, Seen>()
  const hadByEdit = new Map<Placed, ReadonlyMap<LogId, number>>()
  const lastOfSession = new Map<string, Placed>()
  // Nothing is collected, so that where everything stands is known.
  const doc = new Y.Doc({ gc: false })
  const origin = {}
  leaveMarksUntidied(doc, (transaction) => transaction.origin === origin)
  for (const placed of order.placed) {
    const session = sessionOf(placed.edit)
    const before = lastOfSession.get(session)
    const seen = seenWith(
      placed,
      before === undefined ? nothing : seenByEdit.get(before)!,
      (ref) => {
        const edit = order.editOf(...ref)
        return edit === undefined || edit === placed ? nothing : (seenByEdit.get(edit) ?? nothing)
      }
    )
    seenByEdit.set(placed, seen)
    hadByEdit.set(placed, hadWith(placed, before === undefined ? noLogs : hadByEdit.get(before)!))
    lastOfSession.set(session, placed)
    if (isDishonest(doc, placed, seen, origin)) offences.push(placed)
  }
  doc.destroy()
  const hasSeen = (one: Placed, other: Placed): boolean => {
    const first = other.update.structs[0]
    const isReferred =
      first !== undefined && (seenByEdit.get(one)!.get(first.id.client) ?? 0) > first.id.clock
    const { log, from } = other.edit.ref
    return isReferred || (hadByEdit.get(one)!.get(log) ?? 0) > from
  }
  const isFirst = (one: Placed): boolean =>
    !offences.some((other) => other.edit.device !== one.edit.device && hasSeen(one, other))
  return new Set(offences.filter(isFirst).map(({ edit }) => edit.device))
}

/** By log, what the author says it had. */
function hadWith(
  { edit: { deps = [] } }: Placed,
  before: ReadonlyMap<LogId, number>
): ReadonlyMap<LogId, number> {
  if (deps.length === 0) return before
  return new Map([...before, ...deps.map(({ log, length }) => [log, length] as const)])
}

function seenWith(
  { update }: Placed,
  before: Seen,
  seenBehind: (ref: [number, number]) => Seen
): Seen {
  let seen: Map<number, number> | null = null
  const add = (client: number, clock: number): void => {
    if ((seen ?? before).get(client)! >= clock) return
    seen ??= new Map(before)
    seen.set(client, clock)
  }
  for (const ref of referencesOf(update)) {
    for (const [client, clock] of seenBehind(ref)) add(client, clock)
    add(ref[0], ref[1] + 1)
  }
  return seen ?? before
}

/** Puts the update into the document, and tells whether one of its items stands where none can. Such a one stays out. */
function isDishonest(doc: Y.Doc, { edit }: Placed, seen: Seen, origin: object): boolean {
  let isFound = false
  integrateEdit(doc, edit, origin, (item) => {
    const isRight = areNeighbours(item, seen)
    isFound ||= !isRight
    return isRight
  })
  return isFound
}

/** Are the two that an item was put between neighbours, for all that its author has certainly seen? */
function areNeighbours(
  { id, origin, left, right, parent, parentSub }: Y.Item,
  seen: Seen
): boolean {
  if (!(parent instanceof Y.AbstractType)) return true
  // Where the right one stands in front of the left, in one run of text, Yjs has cut that after it had found the left.
  if (left instanceof Y.Item && !Y.compareIDs(left.lastId, origin)) return false
  let item = left instanceof Y.Item ? left.right : firstOf(parent, parentSub)
  for (; item !== null && item !== right; item = item.right) {
    const { client, clock } = item.id
    if (client === id.client || clock < (seen.get(client) ?? 0)) return false
  }
  return item === right
}
