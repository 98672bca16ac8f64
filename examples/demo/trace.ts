/** Reads a recorded editing history, in the format of the editing-traces collection, and checks its form. */
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'

/** `position` and `deleteCount` are in Unicode code points. */
export type Patch = [position: number, deleteCount: number, insert: string]

export interface RecordedTransaction {
  /** Index into the trace's `agents`. */
  author: number
  /** Indexes of earlier transactions: the patches refer to the merge of these and of all that they build upon. */
  parents: number[]
  /** Applied in turn, each to what the one before has left. */
  patches: Patch[]
}

export interface Trace {
  /** The recorded numbers of those authors that occur, ascending. */
  agents: number[]
  transactions: RecordedTransaction[]
  endContent: string
}

/** A file that is no editing history, or one that contradicts itself. */
export class TraceError extends Error {
  override readonly name = 'TraceError'
}

/** Reads a trace file, gzipped or plain JSON, concurrent or sequential. Throws `TraceError` if it is none. */
export async function readTrace(path: string): Promise<Trace> {
  let bytes: Uint8Array = await readFile(path)
  try {
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = await promisify(gunzip)(bytes)
    return parseTrace(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)))
  } catch (error) {
    throw new TraceError(`${path}: ${(error as Error).message}`, { cause: error })
  }
}

/** Checks a trace's JSON value. A sequential history becomes one author's; `startContent` the first transaction. */
export function parseTrace(value: unknown): Trace {
  const { startContent = '', endContent, txns } = record(value, 'A trace')
  if (typeof endContent !== 'string') throw new TraceError('endContent must be a string')
  if (typeof startContent !== 'string') throw new TraceError('startContent must be a string')
  if (!Array.isArray(txns)) throw new TraceError('txns must be an array')
  const raw = txns.map((txn, index) => record(txn, `Transaction ${index}`))
  const concurrent = raw.some((txn) => txn['parents'] !== undefined)
  const agentOf = (txn: Record<string, unknown>) => (concurrent ? txn['agent'] : 0) as number

  // Whatever begins with no parents begins with what was there before anyone wrote.
  const start: RecordedTransaction[] = []
  if (startContent !== '') start.push({ author: 0, parents: [], patches: [[0, 0, startContent]] })
  const transactions = raw.map((txn, index): RecordedTransaction => {
    const where = `Transaction ${index}`
    const { patches, parents = [] } = txn
    if (!isCount(agentOf(txn))) throw new TraceError(`${where}: agent must be a whole number`)
    if (!Array.isArray(patches) || !patches.every(isPatch)) {
      throw new TraceError(`${where}: patches must be [position, deleteCount, insertText] each`)
    }
    if (!Array.isArray(parents) || !parents.every((parent) => isCount(parent) && parent < index)) {
      throw new TraceError(
        `${where}: parents must be indexes of earlier transactions, not ${JSON.stringify(parents)}`
      )
    }
    const before = concurrent ? (parents as number[]) : index === 0 ? [] : [index - 1]
    return {
      author: agentOf(txn),
      parents: before.length === 0 ? start.map(() => 0) : before.map((i) => i + start.length),
      patches
    }
  })
  const agents = [...new Set(transactions.map(({ author }) => author))].sort((a, b) => a - b)
  if (agents.length === 0) agents.push(0)
  const indexByAgent = new Map(agents.map((agent, index) => [agent, index]))
  for (const transaction of transactions) {
    transaction.author = indexByAgent.get(transaction.author) as number
  }
  if (start[0] !== undefined) start[0].author = transactions[0]?.author ?? 0
  return { agents, transactions: [...start, ...transactions], endContent }
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TraceError(`${name} must be an object`)
  }
  return value as Record<string, unknown>
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isPatch(value: unknown): value is Patch {
  return (
    Array.isArray(value) && isCount(value[0]) && isCount(value[1]) && typeof value[2] === 'string'
  )
}
