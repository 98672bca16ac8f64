/**
 * The benchmarks: `npm run bench`, with `-- --quick` at a small size, with a word or more only those of that name
 * (apply, ingest, reopen, cold-sync, latency, delayed-link, concurrent, inside, command,
 * webrtc, browser). Each runs in a process of its own.
 * Read the ratios: contenders take turns within one run, since the machine is never as quiet as one would like.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { applying } from './apply.ts'
import { browser } from './browser.ts'
import { coldSync } from './cold-sync.ts'
import { command } from './command.ts'
import { concurrent, friendsforever } from './concurrent.ts'
import { delayedLink } from './delayed-link.ts'
import { paper } from './history.ts'
import { ingest } from './ingest.ts'
import { small, typed, type InsideResult } from './inside.ts'
import { latency, type ByLink } from './latency.ts'
import { reopen } from './reopen.ts'
import { webrtcFigures } from './webrtc.ts'

/** What is measured, how much it took and what it is compared with, the ratio, and the ratio that is wanted. */
type Row = readonly [what: string, figure: string, against: string, ratio: string, wanted: string]

const isQuick = process.argv.includes('--quick')
const edits = isQuick ? 5_000 : Infinity
const rounds = isQuick ? 1 : 3

const benchmarks: Record<string, () => Promise<Row[]>> = {
  async apply() {
    const history = await paper(edits)
    return [1, 100].flatMap((groupSize): Row[] => {
      const r = applying(history, groupSize, rounds)
      if (r.texts.length !== 1) throw new Error('The texts differ')
      const what = groupSize === 1 ? 'each edit an entry' : `${groupSize} edits an entry`
      return [
        [
          `receiving: open, validate, place; ${what}`,
          ms(r.validatedMs + r.openedMs),
          `Y.applyUpdate ${ms(r.yjsMs)}`,
          times(r.receivingRatio),
          '≤ 1.3'
        ],
        [
          '  with sealing',
          ms(r.validatedMs + r.openedMs + r.sealedMs),
          '',
          times(r.ratio),
          '≤ 1.3'
        ],
        [
          `  of ${r.updates} entries: validating and placing`,
          ms(r.validatedMs),
          `opening ${ms(r.openedMs)}, sealing ${ms(r.sealedMs)}`,
          times(r.validatedMs / r.yjsMs),
          ''
        ],
        [`  what is visible, of ${r.items} items`, ms(r.visibleMs), '', '', '']
      ]
    })
  },
  async ingest() {
    const r = await ingest(await paper(edits), rounds)
    if (r.texts.length !== 1) throw new Error('The texts differ')
    const { bytes, entries, controlBytes } = r.log
    return [
      [
        'durable ingest, one edit a turn',
        ms(r.skeinMs),
        `Yjs in memory ${ms(r.floorMs)}`,
        times(r.ratio),
        '≤ 1.5'
      ],
      ['  processor time', '', '', times(r.cpuRatio), ''],
      ['  processor time, no listener on either', '', '', times(r.quietRatio), ''],
      ['  longest turn of the event loop', ms(r.longestTurnMs), '', '', ''],
      [
        `log bytes, ${entries} entries`,
        kb(bytes),
        `state V1 ${kb(r.stateBytes)}`,
        times(bytes / r.stateBytes),
        '≤ 3'
      ],
      ['  control log', kb(controlBytes), '', '', '']
    ]
  },
  async reopen() {
    const r = await reopen(isQuick ? edits : 300_000, rounds)
    if (r.texts.length !== 1) throw new Error('The texts differ')
    const floor = `Y.applyUpdate ${ms(r.floorMs)}`
    return [
      [
        'reopening the document, closed before',
        ms(r.closed.ms),
        floor,
        times(r.closed.ratio),
        '≤ 3'
      ],
      ['  and the device', ms(r.closed.readyMs + r.closed.ms), '', times(r.closed.wholeRatio), ''],
      [
        'reopening the document, killed before',
        ms(r.killed.ms),
        floor,
        times(r.killed.ratio),
        '≤ 3'
      ],
      ['  and the device', ms(r.killed.readyMs + r.killed.ms), '', times(r.killed.wholeRatio), '']
    ]
  },
  async 'cold-sync'() {
    const r = await coldSync(isQuick ? edits : 300_000, rounds)
    if (r.texts.length !== 1) throw new Error('The texts differ')
    const bare = `bare hypercore ${ms(r.bareMs)}`
    return [
      ['cold sync from connection to text', ms(r.skeinMs), bare, times(r.ratio), ''],
      ['  until let in', ms(r.joinedMs), '', '', ''],
      [
        '  bytes received',
        kb(r.skeinBytes),
        `bare hypercore ${kb(r.bareBytes)}`,
        times(r.skeinBytes / r.bareBytes),
        ''
      ]
    ]
  },
  async latency() {
    const r = await latency(isQuick ? 50 : 400)
    const rows = (name: string, by: ByLink): Row[] =>
      (['live', 'push'] as const).flatMap((link): Row[] => [
        [
          `${name}, median`,
          ms(by.skein.medianMs),
          `hypercore ${link} ${ms(by[link].medianMs)}`,
          times(by.skein.medianMs / by[link].medianMs),
          '≤ 1.5'
        ],
        [
          `${name}, p99`,
          ms(by.skein.p99Ms),
          `hypercore ${link} ${ms(by[link].p99Ms)}`,
          times(by.skein.p99Ms / by[link].p99Ms),
          '≤ 1.5'
        ]
      ])
    return [
      ...rows('edit to edit, ping-pong', r.pingPong),
      ...rows('edit every 20 ms', r.spaced),
      [
        `  a keystroke has ${r.blockBytes} B`,
        '',
        `one fdatasync ${ms(r.disk.medianMs)}, p99 ${ms(r.disk.p99Ms)}`,
        '',
        ''
      ]
    ]
  },
  async 'delayed-link'() {
    const r = await delayedLink(isQuick ? 5 : 30)
    if (!r.agrees) throw new Error('The texts differ')
    const others = `hypercore live ${ms(r.liveMs)}, push ${ms(r.pushMs)}`
    const delays = (value: number): string => `${(value / r.delayMs).toFixed(2)} delays`
    return [
      [`edit over ${r.delayMs} ms each way`, ms(r.skeinMs), others, delays(r.skeinMs), '1, not 3'],
      ['  the first one after a reconnect', ms(r.firstAgainMs), '', delays(r.firstAgainMs), ''],
      ['  after a reconnect', ms(r.skeinAgainMs), '', delays(r.skeinAgainMs), '1, not 3']
    ]
  },
  async concurrent() {
    const r = await concurrent(await friendsforever())
    if (!r.agrees.every(Boolean)) throw new Error('A text is not the recording’s end')
    const rest = (r.bytes - r.sealBytes) / r.entries
    return [
      [
        `log bytes, two typing at once, ${r.entries} entries`,
        kb(r.bytes),
        `state V1 ${kb(r.stateBytes)}`,
        times(r.ratio),
        ''
      ],
      [
        `  of ${r.transactions} edits in ${ms(r.ms)}`,
        '',
        `sealing ${kb(r.sealBytes)}, else ${rest.toFixed(0)} B an entry`,
        '',
        ''
      ]
    ]
  },
  async inside() {
    const rows = (name: string, r: InsideResult): Row[] => {
      if (r.problems > 0 || !r.agrees)
        throw new Error(`Looking inside ${name} found what is not there`)
      const rate = (value: number): string => `${Math.round((1_000 * r.entries) / value)} entries/s`
      const hash = `hashing the blocks ${ms(r.hashMs)}`
      return [
        [`${name}, ${r.entries} entries: its history`, ms(r.historyMs), rate(r.historyMs), '', ''],
        ['  verify', ms(r.verifyMs), `${rate(r.verifyMs)}, ${hash}`, '', ''],
        [
          '  export',
          ms(r.exportMs),
          `${rate(r.exportMs)}, ${kb(r.bundleBytes)} of ${kb(r.bytes)}`,
          times(r.bundleBytes / r.bytes),
          ''
        ],
        ['  import by a newcomer', ms(r.importMs), rate(r.importMs), '', '']
      ]
    }
    return [
      ...rows('one document, typed', await typed(await paper(edits))),
      ...rows('ten documents', await small(isQuick ? 300 : 10_000))
    ]
  },
  async command() {
    const r = await command(isQuick ? 200 : 10_000, rounds)
    return [
      ['skein status, from start to end', ms(r.statusMs), '', '', '< 400 ms'],
      [`  of ${r.documents} documents`, ms(r.fullStatusMs), '', '', ''],
      [
        `first sync of ${r.documents} documents: progress shown after`,
        ms(r.firstProgressMs),
        '',
        '',
        '< 1 s'
      ],
      [`  in step after, at most ${mb(r.peakBytes)} resident`, ms(r.syncMs), '', '', '≤ 300 MB']
    ]
  },
  async webrtc() {
    const r = await webrtcFigures(
      isQuick ? { rounds: 1, megabytes: 2, letters: 10 } : { rounds, megabytes: 16, letters: 200 }
    )
    const rate = (value: number): string => `${(value / 1e6).toFixed(1)} MB/s`
    return [
      [
        'between two browsers: replicating a space',
        rate(r.replicating),
        `the bare channel ${rate(r.bare)}`,
        times(r.replicating / r.bare),
        '≥ 0.7'
      ],
      [
        '  from a key to the other screen, median',
        ms(r.typing.medianMs),
        `p99 ${ms(r.typing.p99Ms)}`,
        '',
        '< 20 ms'
      ]
    ]
  },
  async browser() {
    const options = isQuick
      ? { rounds: 1, appends: 30, longEdits: 500 }
      : { rounds, appends: 500, longEdits: 20_000 }
    const { appends, open, growth } = await browser(await paper(edits), options)
    const plain = `a plain transaction ${ms(appends.plain.medianMs)}`
    return [
      [
        'in Chromium: a durable append',
        ms(appends.hypercore.medianMs),
        plain,
        times(appends.hypercore.medianMs / appends.plain.medianMs),
        '≤ 1.5'
      ],
      [
        '  an edit until it is saved',
        ms(appends.skein.medianMs),
        plain,
        times(appends.skein.medianMs / appends.plain.medianMs),
        ''
      ],
      [
        '  opening the document, browser and all cold',
        ms(open.skeinMs),
        `y-indexeddb ${ms(open.otherMs)}`,
        times(open.skeinMs / open.otherMs),
        '≤ 1.5'
      ],
      ...growth.map(({ edits, heapBytes, storedBytes }): Row => [
        `  after ${edits} edits in one page: live heap`,
        kb(heapBytes),
        `IndexedDB ${kb(storedBytes)}`,
        '',
        ''
      ])
    ]
  }
}

const alone = process.argv.find((word) => word.startsWith('--alone='))
if (alone === undefined) await runAll()
else await runOne(alone.slice('--alone='.length))

async function runOne(name: string): Promise<void> {
  const rows = await benchmarks[name]!()
  process.send!(rows, undefined, undefined, () => process.exit(0))
}

async function runAll(): Promise<void> {
  const words = process.argv.slice(2).filter((word) => !word.startsWith('--'))
  const names = Object.keys(benchmarks).filter((name) => words.length === 0 || words.includes(name))
  if (names.length === 0) throw new TypeError(`There are ${Object.keys(benchmarks).join(', ')}`)
  const { source, edits: history } = await paper(edits)
  console.log(
    `Written: ${source}, ${history.length} edits. Medians of ${rounds}; read the ratios.\n`
  )
  print(['', 'Skein', 'against', 'ratio', 'wanted'])
  for (const name of names) {
    const child = fork(new URL(import.meta.url), [
      `--alone=${name}`,
      ...(isQuick ? ['--quick'] : [])
    ])
    child.on('message', (rows: Row[]) => rows.forEach(print))
    const [code] = (await once(child, 'exit')) as [number | null]
    if (code === 0) continue
    process.exitCode = 1
    print([`${name} failed`, '', '', '', ''])
  }
}

function print([what, figure, against, ratio, wanted]: Row): void {
  console.log(
    what.padEnd(50) +
      figure.padStart(10) +
      '  ' +
      against.padEnd(44) +
      ratio.padStart(12) +
      '  ' +
      wanted
  )
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`
}

function kb(bytes: number): string {
  return `${(bytes / 1_000).toFixed(1)} kB`
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}

function times(ratio: number): string {
  return `× ${ratio.toFixed(2)}`
}
