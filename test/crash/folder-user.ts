/**
 * Someone who works in a folder as people and their editors do, and remembers what has been saved there: every text that
 * is put in is a word found nowhere else, and every word that is taken away was read before. So at the end each word is
 * there, or was taken away by someone who had seen it.
 */
import {
  appendFileSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { dirname, join } from 'node:path'

/** What all users of a test have put in and taken away. */
export class Words {
  readonly saved = new Map<string, string>()
  readonly taken = new Set<string>()
  readonly #choose: () => number
  readonly #made = new Set<string>()

  constructor(choose: () => number) {
    this.#choose = choose
  }

  make(): string {
    let word = ''
    for (let i = 0; i < 14; i++) word += String.fromCharCode(97 + Math.floor(this.#choose() * 26))
    this.#made.add(word)
    return word
  }

  /** Those that are in a text; one may stand right behind another, or behind a piece of one. */
  in(text: string): string[] {
    const found: string[] = []
    for (let at = 0; at + 14 <= text.length; at++) {
      const word = text.slice(at, at + 14)
      if (this.#made.has(word)) found.push(word)
    }
    return found
  }
}

const names = ['note.md', 'Über.md', 'list.txt', '日記.md', 'e\u0301.md', 'todo', '👩‍👩‍👧.md', 'a b.md']
const folders = ['', 'sub/', 'sub/deep/', 'Ordner/']

export class User {
  readonly #folder: string
  readonly #outside: string
  readonly #words: Words
  readonly #choose: () => number
  readonly #name: string
  #count = 0

  /** `outside` is on the same file system: where what is deleted goes, to be read once more. */
  constructor(name: string, folder: string, outside: string, words: Words, choose: () => number) {
    this.#name = name
    this.#folder = folder
    this.#outside = outside
    this.#words = words
    this.#choose = choose
    mkdirSync(outside, { recursive: true })
  }

  /** Does something; returns what. */
  act(): string {
    try {
      return this.#pick(this.#actions)()
    } catch (error) {
      // Something has gone, or come, between two steps: that is how it is for programs, too.
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      if (['ENOENT', 'EEXIST', 'ENOTDIR', 'ENOTEMPTY', 'EISDIR'].includes(code))
        return `not done: ${code}`
      throw error
    }
  }

  readonly #actions: readonly (() => string)[] = [
    ...Array<() => string>(4).fill(() => this.#create()),
    ...Array<() => string>(12).fill(() => this.#edit()),
    ...Array<() => string>(3).fill(() => this.#append()),
    ...Array<() => string>(2).fill(() => this.#rename()),
    ...Array<() => string>(2).fill(() => this.#move()),
    ...Array<() => string>(2).fill(() => this.#delete()),
    () => this.#recreate(),
    () => this.#makeFolder(),
    () => this.#removeFolder(),
    () => this.#swap(),
    () => this.#empty()
  ]

  #create(): string {
    const path = this.#pick(folders) + this.#pick(names)
    const word = this.#words.make()
    mkdirSync(dirname(this.#at(path)), { recursive: true })
    writeFileSync(this.#at(path), `${word}\n`, { flag: 'wx' })
    this.#saved([word], path)
    return `create ${path} ${word}`
  }

  #edit(): string {
    const path = this.#anyFile()
    const before = this.#read(path)
    const lines = before.split(/(?<=\n)/)
    const added: string[] = []
    const removed: string[] = []
    for (let n = Math.floor(this.#choose() * 3); n >= 0; n--) {
      const at = Math.floor(this.#choose() * (lines.length + 1))
      if (this.#choose() < 0.3) removed.push(...this.#words.in(lines.splice(at, 1).join('')))
      const word = this.#words.make()
      added.push(word)
      const line = lines[at]
      // Within a line, at its end, or as a line of its own.
      if (line !== undefined && this.#choose() < 0.3) lines[at] = `${word} ${line}`
      else if (line?.endsWith('\n') === true && this.#choose() < 0.4)
        lines[at] = `${line.slice(0, -1)} ${word}\n`
      else lines.splice(at, 0, `${word}${this.#choose() < 0.1 ? ' 😀\r\n' : '\n'}`)
    }
    const text = lines.join('')
    const stays = new Set(this.#words.in(text))
    for (const word of removed) if (!stays.has(word)) this.#words.taken.add(word)
    const habit = this.#pick(Object.keys(this.#habits))
    this.#habits[habit]!(this.#at(path), text)
    this.#saved(
      added.filter((word) => stays.has(word)),
      path
    )
    return `${habit} ${path} +${added.join()} -${removed.join()}`
  }

  #append(): string {
    const path = this.#anyFile()
    const word = this.#words.make()
    this.#read(path)
    appendFileSync(this.#at(path), `${word}\n`)
    this.#saved([word], path)
    return `append ${path} ${word}`
  }

  #rename(): string {
    const path = this.#anyFile()
    const to = join(dirname(path), `${this.#name}-${this.#count++}.md`)
    renameSync(this.#at(path), this.#at(to))
    return `rename ${path} → ${to}`
  }

  #move(): string {
    const path = this.#anyFile()
    const to = `${this.#pick(folders)}${this.#name}-${this.#count++}.md`
    mkdirSync(dirname(this.#at(to)), { recursive: true })
    renameSync(this.#at(path), this.#at(to))
    return `move ${path} → ${to}`
  }

  /** What was in the file when it went is what was seen and taken away. */
  #delete(): string {
    const path = this.#anyFile()
    this.#deleteAt(path)
    return `delete ${path}`
  }

  #recreate(): string {
    const path = this.#anyFile()
    this.#deleteAt(path)
    const word = this.#words.make()
    writeFileSync(this.#at(path), `${word}\n`, { flag: 'wx' })
    this.#saved([word], path)
    return `delete and create ${path} ${word}`
  }

  #deleteAt(path: string): void {
    const bin = join(this.#outside, String(this.#count++))
    renameSync(this.#at(path), bin)
    for (const word of this.#words.in(readFileSync(bin, 'utf8'))) this.#words.taken.add(word)
    rmSync(bin)
  }

  #makeFolder(): string {
    const path = this.#pick(folders) + (this.#choose() < 0.5 ? 'empty' : `${this.#count++}`)
    mkdirSync(this.#at(path), { recursive: true })
    return `mkdir ${path}`
  }

  #removeFolder(): string {
    const all = readdirSync(this.#folder, { withFileTypes: true, recursive: true })
    const paths = all
      .filter((entry) => entry.isDirectory() && !entry.parentPath.includes('.skein'))
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !path.endsWith('.skein'))
      .sort()
    if (paths.length === 0) return 'no folder to remove'
    rmdirSync(this.#pick(paths))
    return 'rmdir'
  }

  #swap(): string {
    const [a, b] = [this.#anyFile(), this.#anyFile()]
    if (a === b) return 'nothing to swap'
    const t = `${this.#at(a)}.${this.#name}-${this.#count++}`
    renameSync(this.#at(a), t)
    try {
      renameSync(this.#at(b), this.#at(a))
    } catch (error) {
      renameSync(t, this.#at(a))
      throw error
    }
    renameSync(t, this.#at(b))
    return `swap ${a} ${b}`
  }

  #empty(): string {
    const path = `${this.#pick(folders)}empty-${this.#name}-${this.#count++}.md`
    mkdirSync(dirname(this.#at(path)), { recursive: true })
    writeFileSync(this.#at(path), '', { flag: 'wx' })
    return `create ${path}, empty`
  }

  /** How editors save, by what they ask of the system. */
  readonly #habits: Readonly<Record<string, (path: string, text: string) => void>> = {
    'truncate and write': (path, text) => writeFileSync(path, text),
    'VS Code': (path, text) => {
      const file = openSync(path, 'w')
      const bytes = Buffer.from(text)
      writeSync(file, bytes.subarray(0, bytes.length / 2))
      writeSync(file, bytes.subarray(bytes.length / 2))
      fsyncSync(file)
      closeSync(file)
    },
    'atomic rename': (path, text) => {
      writeFileSync(`${path}.tmp`, text)
      renameSync(`${path}.tmp`, path)
    },
    'vim, backup by renaming': (path, text) => {
      renameSync(path, `${path}~`)
      writeFileSync(path, text, { flag: 'wx' })
      rmSync(`${path}~`)
    },
    'emacs, backup by linking': (path, text) => {
      rmSync(`${path}~`, { force: true })
      linkSync(path, `${path}~`)
      writeFileSync(`${path}.new`, text)
      renameSync(`${path}.new`, path)
    }
  }

  #saved(words: readonly string[], path: string): void {
    for (const word of words) this.#words.saved.set(word, `${this.#name} in ${path}`)
  }

  #anyFile(): string {
    const files = readdirSync(this.#folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && !/~$|\.tmp$|\.new$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name).slice(this.#folder.length + 1))
      .filter((path) => !path.startsWith('.skein/'))
      .sort()
    if (files.length === 0) throw Object.assign(new Error('no file'), { code: 'ENOENT' })
    return this.#pick(files)
  }

  #read(path: string): string {
    return readFileSync(this.#at(path), 'utf8')
  }

  #at(path: string): string {
    return join(this.#folder, path)
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#choose() * list.length)]!
  }
}
