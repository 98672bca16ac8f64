/**
 * Names of files: which are left alone, which may be written here, which are the same to some file system, and what a
 * second file of one name is called. Paths are relative to the folder, with `/`, as they stand on the disk: nothing is
 * normalised in them, only in their keys.
 */
import ignore, { type Ignore } from 'ignore'

/** Why something in the folder is left alone. `hidden`, `editor` and `ignored` are the quiet ones. */
export type Reason =
  /** It, or a folder that it is in, has a name that begins with a dot. */
  | 'hidden'
  /** By its name an editor's swap, backup or temporary file. */
  | 'editor'
  /** A pattern of the user's says so. */
  | 'ignored'
  /** Not valid UTF-8, or with a NUL in it. */
  | 'not-text'
  | 'too-large'
  | 'symbolic-link'
  /** A pipe, a socket, a device. */
  | 'special'
  /** Another file system is mounted there. */
  | 'mount'
  | 'unreadable'
  /** Its name is another's but for case or Unicode form. */
  | 'name-clash'
  /** A file of the space cannot be written here: this system does not allow the name. */
  | 'name-not-allowed'
  /** A file of the space cannot be written here: something that is left alone has the name. */
  | 'place-taken'
  /** This device may only read in the space, and the file was changed or made here. */
  | 'read-only'

export const quietReasons: readonly Reason[] = ['hidden', 'editor', 'ignored']

/** What editors and systems leave beside files; hidden ones go without saying. */
const editorFiles: readonly RegExp[] = [
  /~$/, // vim, emacs, nano …: backups
  /\.sw[a-z]$/i, // vim: swap files
  /^4913$/, // vim: whether it may write in the folder
  /^#.*#$/, // emacs: autosave
  /^~\$/, // Office: owner files
  /\.(?:tmp|temp|bak|orig|part|crdownload|crswap|vsctmp|lock)$/i,
  /^sed[A-Za-z0-9]{6}$/, // sed -i
  /\.sb-[0-9a-f]{8}-[A-Za-z0-9]{6}$/, // macOS: safe saving
  /^(?:Thumbs\.db|desktop\.ini|Icon\r)$/i
]

const maxNameBytes = 255
const maxPathBytes = 3_800
const encoder = new TextEncoder()

export class PathRules {
  readonly #ignore: Ignore
  readonly #system: string

  /** `patterns` as in a .gitignore; `system` as in `process.platform`. */
  constructor(patterns: readonly string[], system: string) {
    this.#ignore = ignore({ allowRelativePaths: false }).add([...patterns])
    this.#system = system
  }

  /** Why a path that is there, or that a member of the space names, is left alone; null if it is not. */
  reasonFor(path: string, isFolder: boolean): Reason | null {
    const names = path.split('/')
    if (names.some((name) => name.startsWith('.'))) return 'hidden'
    if (!isFolder && editorFiles.some((pattern) => pattern.test(names.at(-1)!))) return 'editor'
    return this.#ignore.ignores(isFolder ? `${path}/` : path) ? 'ignored' : null
  }

  /**
   * Whether a path that a member of the space names can be written on this system: nothing of it may lead out of the
   * folder, and no part may mean something else here.
   */
  isAllowed(path: string): boolean {
    if (encoder.encode(path).length > maxPathBytes) return false
    return path.split('/').every((name) => this.#isAllowedName(name))
  }

  #isAllowedName(name: string): boolean {
    if (name === '' || name === '.' || name === '..' || name.includes('\0')) return false
    if (/\p{Surrogate}/u.test(name) || encoder.encode(name).length > maxNameBytes) return false
    if (this.#system === 'darwin') return !name.includes(':')
    if (this.#system !== 'win32') return true
    if (/[<>:"|?*\\\p{Cc}]/u.test(name) || /[. ]$/.test(name)) return false
    return !/^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i.test(name)
  }
}

/** Equal for paths that are one to a file system that ignores case or the form of Unicode. */
export function keyOf(path: string): string {
  return path.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
}

/** `a/b` for `a/b/c`; null for `c`. */
function parentOf(path: string): string | null {
  const at = path.lastIndexOf('/')
  return at === -1 ? null : path.slice(0, at)
}

/** `a`, `a/b` for `a/b/c`. */
export function ancestorsOf(path: string): string[] {
  const ancestors: string[] = []
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1))
    ancestors.push(path.slice(0, at))
  return ancestors
}

/** `note (from bob).md`; `number` from 2 on: `note (from bob 2).md`. */
export function distinctName(path: string, from: string, number: number): string {
  const parent = parentOf(path)
  const name = parent === null ? path : path.slice(parent.length + 1)
  const dot = name.lastIndexOf('.')
  const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, '']
  // Any name of a device is one that any system allows in a file's name.
  const who =
    from
      .replace(/[<>:"|?*\\/\p{C}]/gu, '')
      .trim()
      .slice(0, 40) || 'another device'
  const mark = number < 2 ? ` (from ${who})` : ` (from ${who} ${number})`
  const room = maxNameBytes - encoder.encode(mark + extension).length
  const kept = cutToBytes(stem, Math.max(1, room))
  return (parent === null ? '' : `${parent}/`) + kept + mark + extension
}

function cutToBytes(text: string, bytes: number): string {
  let kept = ''
  let length = 0
  for (const character of text) {
    length += encoder.encode(character).length
    if (length > bytes) break
    kept += character
  }
  return kept
}
