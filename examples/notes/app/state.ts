/** What the page shows, and what its user can do. */
import { effect, signal } from '@preact/signals'
import { SkeinError, type Skein } from 'skein'
import { openDevice, person } from './device.ts'
import { Notebook } from './notebook.ts'

type Phase = 'name' | 'start' | 'opening' | 'joining' | 'ready'

export const phase = signal<Phase>('opening')
export const failure = signal<string | null>(null)
export const notebook = signal<Notebook | null>(null)
/** By id, the names of the notebooks that this device is in. */
export const notebooks = signal<readonly { readonly id: string; readonly name: string }[]>([])
/** The invite that the page was opened with. */
export const invite = signal<string | null>(null)
export const query = signal('')
export const notice = signal<{ text: string; undo?: () => void } | null>(null)

const lastKey = 'notes.last'
let device: Skein | null = null
let noticeTimer: ReturnType<typeof setTimeout> | undefined

export async function start(): Promise<void> {
  addEventListener('hashchange', () => void route())
  takeInvite()
  if (person.value === '') phase.value = 'name'
  else await open(person.value)
}

export async function open(name: string): Promise<void> {
  phase.value = 'opening'
  try {
    device = await openDevice(name)
    await proceed()
  } catch (error) {
    failure.value = wordsFor(error)
  }
}

/** Joins where there is an invite, and opens the notebook of last time. */
async function proceed(): Promise<void> {
  const text = invite.value
  if (text !== null) return join(text)
  const spaces = device!.spaces()
  const last = localStorage.getItem(lastKey)
  const space = spaces.find(({ id }) => id === last) ?? spaces[0]
  if (space === undefined) phase.value = 'start'
  else await enter(space.id)
}

export async function join(text: string): Promise<void> {
  failure.value = null
  phase.value = 'joining'
  try {
    const space = await device!.join(text.trim().replace(/^.*#(?=skein)/, ''))
    invite.value = null
    history.replaceState(null, '', '/')
    await enter(space.id)
  } catch (error) {
    failure.value = wordsFor(error)
  }
}

export function giveUpJoining(): void {
  failure.value = null
  invite.value = null
  history.replaceState(null, '', '/')
  void proceed()
}

export async function createNotebook(name: string): Promise<void> {
  phase.value = 'opening'
  const space = await device!.createSpace({ name })
  await enter(space.id)
}

export async function enter(id: string): Promise<void> {
  await notebook.value?.close()
  notebooks.value = device!.spaces().map((space) => ({ id: space.id, name: space.name }))
  notebook.value = await Notebook.open(device!.space(id), person.value)
  localStorage.setItem(lastKey, id)
  query.value = ''
  phase.value = 'ready'
  await route()
}

export async function leave(): Promise<void> {
  const left = notebook.value!
  notebook.value = null
  await left.close()
  await left.space.leave()
  location.hash = ''
  await proceed()
}

export function go(id: string | null): void {
  if (id === null) location.hash = ''
  else location.hash = `note/${id}`
}

export function createNote(): void {
  const id = notebook.value!.create()
  query.value = ''
  go(id)
}

export function trash(id: string): void {
  const from = notebook.value!
  from.trash(id, true)
  if (from.note.value?.id === id) go(null)
  say('The note was deleted', () => {
    from.trash(id, false)
    go(id)
  })
}

export function say(text: string, undo?: () => void): void {
  clearTimeout(noticeTimer)
  notice.value = undo === undefined ? { text } : { text, undo }
  noticeTimer = setTimeout(() => (notice.value = null), 6_000)
}

async function route(): Promise<void> {
  if (takeInvite()) {
    if (device !== null) await join(invite.value!)
    return
  }
  const id = /^#note\/([\w-]{1,100})$/.exec(location.hash)?.[1] ?? null
  await notebook.value?.show(id)
}

function takeInvite(): boolean {
  if (!location.hash.startsWith('#skein:')) return false
  invite.value = location.hash.slice(1)
  return true
}

const wordsByCode: Readonly<Record<string, string>> = {
  INVITE_INVALID: 'This is no invitation, or a part of it is missing. Copy the whole link.',
  INVITE_EXPIRED: 'This invitation has expired. Ask for a new one.',
  INVITE_USED_UP: 'This invitation has been used up. Ask for a new one.',
  INVITE_REVOKED: 'This invitation has been taken back. Ask for a new one.',
  INVITE_REFUSED: 'You were not let in. Ask whoever invited you.',
  INVITE_UNANSWERED:
    'Nobody who may let you in could be reached. A device of whoever invited you must be online.',
  DISK_FULL: 'This device’s storage is full.'
}

function wordsFor(error: unknown): string {
  if (error instanceof SkeinError) return wordsByCode[error.code] ?? error.message
  throw error
}

effect(() => {
  const title = notebook.value?.note.value?.id
  const note = notebook.value?.notes.value.find(({ id }) => id === title)
  document.title = note === undefined || note.title === '' ? 'Notes' : `${note.title} – Notes`
})
