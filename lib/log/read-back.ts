/** Reads entries again that lie in a log. */
import { toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import type { DeviceId } from '../trust/members.ts'
import { EntryAssembler, keyIdOfBlock, openBlock, type Entry, type LogId } from './entry.ts'
import type { Log } from './log.ts'

/** Names an entry: its log and its blocks, [from, to). */
export interface EntryRef {
  readonly log: LogId
  readonly from: number
  readonly to: number
}

/** The key of that id, or null while it is not known. */
type KeyOf = (log: Log, keyId: Uint8Array) => Uint8Array | null

/** The valid entries in a range of a log, one after the other; those whose key is not here are left out. */
export async function* entriesOf(
  log: Log,
  start: number,
  end: number,
  keyOf: KeyOf
): AsyncGenerator<{ from: number; to: number; entry: Entry }> {
  const assembler = new EntryAssembler()
  let from = start
  for (let seq = start; seq < end; seq++) {
    const block = await log.get(seq)
    if (block === null) return
    let entry: Entry | null = null
    try {
      const key = keyOf(log, keyIdOfBlock(block))
      if (key !== null) entry = assembler.add(openBlock(block, { ...log.name, seq }, key))
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      assembler.reset() // Malformed: nothing on any device.
    }
    if (entry !== null) yield { from, to: seq + 1, entry }
    if (assembler.isEmpty) from = seq + 1
  }
}

/** The entry at those blocks. Fails with `STORAGE_DAMAGED` when they are not here, as without the log. */
export async function readBack(
  log: Log | null,
  { log: id, from, to }: EntryRef,
  keyOf: KeyOf
): Promise<{ device: DeviceId; entry: Entry }> {
  const assembler = new EntryAssembler()
  for (let seq = from; log !== null && seq < to; seq++) {
    const block = await log.get(seq)
    if (block === null) break
    const key = keyOf(log, keyIdOfBlock(block))
    if (key === null) break
    const entry = assembler.add(openBlock(block, { ...log.name, seq }, key))
    if (entry !== null) return { device: toHex(log.name.device), entry }
  }
  throw new SkeinError('STORAGE_DAMAGED', `Entry ${from} of log ${id} was delivered and is gone`)
}
