/** All there is to say about one entry: how it is encoded, sealed and signed, and what it says. */
import crypto from 'hypercore-crypto'
import { equalBytes, toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import { keyIdOf, keyIdOfBlock, kinds } from '../log/entry.ts'
import type { Log } from '../log/log.ts'
import type { Role } from '../trust/control.ts'
import type { ControlState } from '../trust/control-state.ts'
import { decodeEpoch } from '../trust/epoch.ts'
import { roleAtContent, roleAtControl } from '../trust/members.ts'
import {
  addressesOf,
  Describer,
  weaveOf,
  type HistoryContext,
  type HistoryEntry
} from './history.ts'
import type { Woven } from './weave.ts'

export interface EntryDetails extends HistoryEntry {
  /** Its author's role at this place of its log; null for none. */
  readonly role: Role | null
  readonly blocks: readonly {
    readonly index: number
    readonly bytes: number
    /** The leaf of the log's hash tree, in hex. */
    readonly hash: string
    readonly nonce: string
  }[]
  readonly seal: {
    readonly version: number
    /** The hash that names the key, in hex. */
    readonly key: string
    /** Control entries are sealed under the space's key, content under a key that an `epoch` entry gives out. */
    readonly kind: 'space key' | 'content key'
    /** Who gave the content key out, as far as that is known here. */
    readonly issuedBy: readonly string[]
  }
  /** The log's tree hash with this entry as its last, in hex. */
  readonly treeHash: string
  /** What the author has signed, this entry included: the log's newest head that is here. */
  readonly head: {
    readonly length: number
    readonly treeHash: string
    readonly signature: string
  } | null
}

/** @internal Fails with `ENTRY_UNKNOWN`. */
export async function entryDetailsOf(
  context: HistoryContext,
  address: string
): Promise<EntryDetails> {
  const addresses = addressesOf(context)
  const { log: id, seq } = addresses.parse(address)
  // Deleted text may be as old as the document, and the key's entry as old as the space: all of it is walked through.
  const describer = new Describer(context, Number.POSITIVE_INFINITY)
  const issuersByKey = new Map<string, Set<string>>()
  for await (const woven of weaveOf(context)) {
    const { log, from, to, entry } = woven
    if (entry?.kind === kinds.epoch && log.name.core === 'control') {
      noteIssuer(issuersByKey, entry.body, addresses.nameOf(toHex(log.name.device)))
    }
    if (log.id !== id || seq < from || seq >= to) {
      if (entry?.kind === kinds.edit) describer.remember(entry)
      continue
    }
    return { ...describer.describe(woven), ...(await detailsOf(context, woven, issuersByKey)) }
  }
  throw new SkeinError('ENTRY_UNKNOWN', `There is no entry ${address} here`)
}

async function detailsOf(
  { control }: HistoryContext,
  { log, from, to }: Woven<Log>,
  issuersByKey: ReadonlyMap<string, ReadonlySet<string>>
): Promise<Omit<EntryDetails, keyof HistoryEntry>> {
  const blocks: Uint8Array[] = []
  for (let index = from; index < to; index++) {
    const block = await log.get(index)
    if (block !== null) blocks.push(block)
  }
  const keyId = keyIdOfBlock(blocks[0] ?? new Uint8Array())
  const { head } = log
  return {
    role: roleOf(control, log, from),
    blocks: blocks.map((block, i) => ({
      index: from + i,
      bytes: block.length,
      hash: toHex(crypto.data(block)),
      nonce: toHex(block.subarray(33, 57))
    })),
    seal: {
      version: blocks[0]![0]!,
      key: toHex(keyId),
      kind: equalBytes(keyId, keyIdOf(control.ring.spaceKey)) ? 'space key' : 'content key',
      issuedBy: [...(issuersByKey.get(toHex(keyId)) ?? [])]
    },
    treeHash: toHex(await log.treeHash(to)),
    head: head && {
      length: head.length,
      treeHash: toHex(head.treeHash),
      signature: toHex(head.signature)
    }
  }
}

function roleOf({ members }: ControlState, { name }: Log, from: number): Role | null {
  const member = members.get(toHex(name.device))
  if (member === undefined) return null
  if (name.core === 'control') return roleAtControl(member, from)
  return roleAtContent(member, Number(name.core.slice('content/'.length)), from)
}

function noteIssuer(issuersByKey: Map<string, Set<string>>, body: Uint8Array, name: string): void {
  try {
    const key = toHex(decodeEpoch(body).epochId)
    issuersByKey.set(key, (issuersByKey.get(key) ?? new Set()).add(name))
  } catch (error) {
    if (!(error instanceof SkeinError)) throw error // Malformed: it gives out nothing.
  }
}
