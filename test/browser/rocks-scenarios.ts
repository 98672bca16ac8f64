/**
 * What hypercore-storage asks of its database, as scenarios that give an answer. They run against the native module,
 * against IndexedDB in Chromium, and against IndexedDB on an in-memory backing in Node; the answers must be the same.
 */

/** The part of `rocksdb-native`'s interface that the scenarios use; both have it. */
export interface RocksLike {
  readonly opened: boolean
  readonly closed: boolean
  readonly snapshotted: boolean
  readonly defaultColumnFamily: { readonly name: string }
  session(options?: { snapshot?: boolean; columnFamily?: { readonly name: string } }): RocksLike
  columnFamily(name: string): RocksLike
  snapshot(): RocksLike
  isRoot(): boolean
  ready(): Promise<void>
  close(): Promise<void>
  read(options?: object): {
    get(key: Uint8Array | string): Promise<Uint8Array | null>
    tryFlush(): void
    flush(): Promise<void>
    destroy(): void
  }
  write(options?: object): {
    put(key: Uint8Array | string, value: Uint8Array | string | null): Promise<void>
    tryPut(key: Uint8Array | string, value: Uint8Array | string | null): void
    tryDelete(key: Uint8Array | string): void
    tryDeleteRange(start: Uint8Array | string, end: Uint8Array | string): void
    flush(): Promise<void>
    tryFlush(): void
    destroy(): void
  }
  iterator(
    range?: object,
    options?: object
  ): AsyncIterable<{ key: Uint8Array; value: Uint8Array | null }>
  peek(
    range?: object,
    options?: object
  ): Promise<{ key: Uint8Array; value: Uint8Array | null } | null>
  get(key: Uint8Array | string): Promise<Uint8Array | null>
  put(key: Uint8Array | string, value: Uint8Array | string): Promise<void>
  delete(key: Uint8Array | string): Promise<void>
  deleteRange(start: Uint8Array | string, end: Uint8Array | string): Promise<void>
}

/** Opens the database of that name; the same one again after it was closed. Its families are 'default' and 'corestore'. */
export type OpenRocks = (name: string) => RocksLike
type Scenario = (open: OpenRocks) => Promise<unknown>

export const scenarios: Readonly<Record<string, Scenario>> = {
  'values of every kind come back as they were put': async (open) => {
    const db = open('values')
    await db.put('text', 'ä text')
    await db.put('empty', '')
    await db.put(new Uint8Array([0]), new Uint8Array([0, 255]))
    await db.put(new Uint8Array([255, 255]), new Uint8Array(70_000).fill(7))
    await db.put('view', new Uint8Array([1, 2, 3, 4]).subarray(1, 3))
    await db.put('text', 'another')
    const answers = [await db.get('none')]
    for (const key of ['text', 'empty', 'view']) answers.push(await db.get(key))
    const large = await db.get(new Uint8Array([255, 255]))
    const all = await rowsOf(db.iterator())
    await db.close()
    return [answers.map(hex), large!.length, large![69_999], all.map((row) => row.slice(0, 40))]
  },

  'what was read can be changed by its reader alone': async (open) => {
    const db = open('copies')
    const given = new Uint8Array([1, 2, 3])
    await db.put('key', given)
    given[0] = 9
    const first = await db.get('key')
    first![1] = 9
    const answers = [hex(await db.get('key'))]
    for await (const { value } of db.iterator()) value![2] = 9
    answers.push(hex(await db.get('key')))
    await db.close()
    return answers
  },

  'keys are in the order of their bytes, both ways, between any bounds': async (open) => {
    const db = open('order')
    const batch = db.write({ autoDestroy: true })
    const keys = [
      [],
      [0],
      [0, 0],
      [0, 255],
      [1],
      [1, 1],
      [2],
      [127],
      [128],
      [128, 0],
      [200, 1],
      [255]
    ]
    for (const key of keys) if (key.length > 0) batch.tryPut(new Uint8Array(key), String(key))
    await batch.flush()
    const bounds = [undefined, [0], [0, 128], [1], [128], [255], [255, 255]]
    const answers: unknown[] = []
    for (const lower of bounds) {
      for (const upper of bounds) {
        for (const reverse of [false, true]) {
          const range = {
            ...(lower && { [answers.length % 3 === 0 ? 'gt' : 'gte']: new Uint8Array(lower) }),
            ...(upper && { [answers.length % 5 === 0 ? 'lte' : 'lt']: new Uint8Array(upper) }),
            reverse
          }
          answers.push(await rowsOf(db.iterator(range)))
          answers.push(await rowsOf(db.iterator(range, { limit: 2 })))
          const peeked = await db.peek(range)
          answers.push(peeked && hex(peeked.key))
        }
      }
    }
    answers.push(
      await rowsOf(db.iterator({ values: false })),
      await rowsOf(db.iterator({ limit: 0 }))
    )
    await db.close()
    return answers
  },

  'long ranges are read to their end, both ways': async (open) => {
    const db = open('long')
    const batch = db.write({ autoDestroy: true })
    for (let i = 0; i < 3_000; i++) batch.tryPut(numbered(i), 'x'.repeat(i % 700))
    await batch.flush()
    const answers: unknown[] = []
    for (const reverse of [false, true]) {
      const rows = await rowsOf(db.iterator({ gte: numbered(10), lt: numbered(2_990), reverse }))
      answers.push([rows.length, rows[0], rows.at(-1)?.slice(0, 20), sum(rows)])
      const limited = await rowsOf(db.iterator({ gte: numbered(500), reverse, limit: 777 }))
      answers.push([limited.length, sum(limited)])
    }
    const gets: (string | null)[] = []
    for (let i = 1_000; i < 1_400; i++) gets.push(hex(await db.get(numbered(i))))
    answers.push(sum(gets))
    await db.close()
    return answers
  },

  'a batch of gets is answered in order': async (open) => {
    const db = open('gets')
    await db.put('a', '1')
    await db.put('c', '3')
    const batch = db.read({ autoDestroy: true })
    const values = ['c', 'b', 'a', 'c'].map((key) => batch.get(key))
    batch.tryFlush()
    const answers = (await Promise.all(values)).map(hex)
    const dropped = db.read()
    const lost = failure(dropped.get('a'))
    dropped.destroy()
    await db.close()
    return [answers, await lost]
  },

  'a batch does as it is told, in that order, and a range goes without its end': async (open) => {
    const db = open('batch')
    for (const key of ['a', 'b', 'c', 'd', 'e']) await db.put(key, key)
    const batch = db.write({ autoDestroy: true })
    batch.tryPut('b', 'new, and gone with the range')
    batch.tryDeleteRange('b', 'd')
    batch.tryPut('c', 'after the range')
    batch.tryDelete('e')
    batch.tryPut('e', 'again')
    batch.tryDelete('a')
    batch.tryDeleteRange('x', 'x')
    const before = await rowsOf(db.iterator())
    await batch.flush()
    const after = await rowsOf(db.iterator())
    const waited = db.write({ autoDestroy: true })
    const put = waited.put('f', null)
    waited.tryFlush()
    await put
    await db.deleteRange('f', 'zz')
    // Last: the native module's next batch would fail with it.
    const wrong = db.write({ autoDestroy: true })
    wrong.tryPut('d', 'not written')
    wrong.tryDeleteRange('x', 'k')
    const why = await failure(wrong.flush())
    const left = await rowsOf(db.iterator())
    await db.close()
    return [before, after, why, left]
  },

  'column families share no keys': async (open) => {
    const db = open('families')
    const family = db.columnFamily('corestore')
    await db.put('key', 'in the default one')
    await family.put('key', 'in corestore’s')
    await family.put('other', 'x')
    await db.deleteRange('l', 'z')
    const answers = [await rowsOf(db.iterator()), await rowsOf(family.iterator())]
    await family.close()
    await db.close()
    return answers
  },

  'a snapshot stays as it was, whatever is written': async (open) => {
    const db = open('snapshots')
    for (const key of ['a', 'b', 'c', 'd']) await db.put(key, `${key}1`)
    const first = db.snapshot()
    await db.put('b', 'b2')
    await db.delete('c')
    await db.put('e', 'e1')
    const second = db.snapshot()
    await db.deleteRange('a', 'c')
    await db.put('a', 'a3')
    const answers: unknown[] = []
    for (const session of [first, second, db]) {
      const values: (string | null)[] = []
      for (const key of ['a', 'b', 'c', 'd', 'e']) values.push(hex(await session.get(key)))
      answers.push(values, await rowsOf(session.iterator()))
      answers.push(await rowsOf(session.iterator({ gt: 'a', lte: 'd', reverse: true })))
      answers.push(await rowsOf(session.iterator({ gte: 'b', limit: 2 })))
    }
    const again = first.session()
    await first.close()
    await db.put('d', 'd4')
    answers.push(await rowsOf(again.iterator()), again.snapshotted, db.session().snapshotted)
    await again.close()
    await second.close()
    await db.close()
    return answers
  },

  'an iterator goes on with what was there when it began': async (open) => {
    const db = open('iterating')
    await Promise.all(Array.from({ length: 400 }, (_, i) => db.put(numbered(i), String(i))))
    const seen: (string | null)[] = []
    for await (const { key } of db.iterator()) {
      seen.push(hex(key))
      if (seen.length !== 1) continue
      await db.deleteRange(numbered(100), numbered(300))
      await db.put(numbered(350), 'changed')
      await db.put(numbered(500), 'new')
    }
    const after = await rowsOf(db.iterator())
    await db.close()
    return [seen.length, seen.at(-1), after.length]
  },

  'sessions end by themselves, the database ends them all': async (open) => {
    const db = open('sessions')
    const [one, two] = [db.session(), db.session()]
    await one.put('key', 'value')
    await one.close()
    const answers: unknown[] = [one.closed, two.closed, db.isRoot(), two.isRoot()]
    answers.push(hex(await two.get('key')), await failure(() => one.get('key')))
    await db.close()
    answers.push(db.closed, two.closed, await failure(() => two.get('key')))
    answers.push(await failure(() => db.write()), await failure(() => two.session()))
    return answers
  },

  'what was written is there when the database is opened again': async (open) => {
    const db = open('reopened')
    const family = db.columnFamily('corestore')
    await family.put('log', '1')
    // As hypercore writes how far a log goes: it may wait for the next batch, and is there all the same.
    const hints = new Uint8Array([4, 7, 2])
    await family.put(hints, 'hint 1')
    const snapshot = family.snapshot()
    await family.put(hints, 'hint 2')
    const answers = [hex(await family.get(hints)), hex(await snapshot.get(hints))]
    await snapshot.close()
    await family.put('log', '2')
    await family.put(hints, 'hint 3')
    const rows = await rowsOf(family.iterator())
    await family.close()
    await db.close()
    const again = open('reopened')
    const family2 = again.columnFamily('corestore')
    answers.push(hex(await family2.get('log')), hex(await family2.get(hints)))
    await family2.close()
    await again.close()
    return [answers, rows]
  },

  'a session of a snapshot takes the family of another session': async (open) => {
    const db = open('families')
    const logs = db.columnFamily('corestore')
    await Promise.all([db.put('key', 'default'), logs.put('key', 'corestore')])
    const snapshot = db.snapshot()
    await logs.put('key', 'later')
    const answers = []
    for (const { defaultColumnFamily: columnFamily } of [db, logs, snapshot]) {
      const session = snapshot.session({ columnFamily })
      answers.push(session.snapshotted, hex(await session.get('key')))
      await session.close()
    }
    for (const session of [snapshot, logs, db]) await session.close()
    return answers
  },

  ...Object.fromEntries(
    [1, 2, 3, 4].map((seed) => [
      `any order of calls, seed ${seed}`,
      (open: OpenRocks) => anything(open, seed)
    ])
  )
}

/** Random calls, each awaited: what they answer, and what is there at the end. */
async function anything(open: OpenRocks, seed: number): Promise<unknown> {
  const random = randomOf(seed)
  const below = (end: number): number => Math.floor(random() * end)
  const key = (): Uint8Array =>
    new Uint8Array(Array.from({ length: 1 + below(3) }, () => [0, 1, 2, 128, 254, 255][below(6)]!))
  const db = open(`anything-${seed}`)
  const families = [db, db.columnFamily('corestore')]
  let snapshots: RocksLike[] = []
  const answers: unknown[] = []
  const look = async (session: RocksLike): Promise<void> => {
    const [lower, upper] = [below(4) === 0 ? null : key(), below(4) === 0 ? null : key()]
    const range = {
      ...(lower && { [below(2) === 0 ? 'gt' : 'gte']: lower }),
      ...(upper && { [below(2) === 0 ? 'lt' : 'lte']: upper }),
      reverse: below(2) === 0,
      limit: below(3) === 0 ? 1 + below(5) : -1
    }
    answers.push(await rowsOf(session.iterator(range)), hex(await session.get(key())))
  }
  for (let step = 0; step < 250; step++) {
    const family = families[below(2)]!
    const what = below(10)
    if (what < 4) {
      const batch = family.write({ autoDestroy: true })
      for (let i = below(6); i >= 0; i--) {
        const kind = below(8)
        if (kind === 0) {
          const [start, end] = [key(), key()].sort((a, b) => (hex(a)! < hex(b)! ? -1 : 1))
          batch.tryDeleteRange(start!, end!)
        } else if (kind < 3) batch.tryDelete(key())
        else batch.tryPut(key(), `${step}.${i}`)
      }
      await batch.flush()
    } else if (what === 4) snapshots.push(family.snapshot())
    else if (what === 5 && snapshots.length > 2) await snapshots.shift()!.close()
    else await look(below(2) === 0 ? family : (snapshots[below(snapshots.length)] ?? family))
  }
  for (const session of [...families, ...snapshots]) answers.push(await rowsOf(session.iterator()))
  for (const session of [...snapshots, families[1]!]) await session.close()
  snapshots = []
  await db.close()
  return answers
}

async function rowsOf(
  rows: AsyncIterable<{ key: Uint8Array; value: Uint8Array | null }>
): Promise<string[]> {
  const texts: string[] = []
  for await (const { key, value } of rows) texts.push(`${hex(key)}=${hex(value)}`)
  return texts
}

async function failure(task: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof task === 'function' ? task() : task)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  return 'no failure'
}

function hex(bytes: Uint8Array | null): string | null {
  return bytes && Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function numbered(number: number): Uint8Array {
  return new Uint8Array([4, 0, 3, 0xfc, number >> 8, number & 255])
}

/** A short word for long answers. */
function sum(texts: readonly (string | null)[]): number {
  let sum = 0
  for (const text of texts)
    for (const char of text ?? '-') sum = (sum * 31 + char.charCodeAt(0)) | 0
  return sum
}

/** Mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
