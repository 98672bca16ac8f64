/**
 * A device in a process of its own, for the stories: `RemoteDevice` is the parent's side, and this file, run as a program,
 * the device. It does what it is asked, one call after the other, and ends with its parent.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { hyperswarm } from '../../adapters/hyperswarm.ts'
import { Skein, type Document, type Space } from '../../lib/index.ts'
import { deadline, once } from '../events.ts'

const self = fileURLToPath(import.meta.url)
const callMs = 40_000

interface Start {
  readonly folder: string
  readonly name: string
  readonly person?: string
  /** Without one it is offline. */
  readonly bootstrap?: readonly { host: string; port: number }[]
}

interface State {
  readonly text: string
  readonly role: string | null
  readonly readOnly: boolean
  readonly excluded: number
  /** Entries of content that are here, those that cannot be read as well. */
  readonly entries: number
}

type Answer = { id: number } & ({ value: unknown } | { error: string; code: string })

export class RemoteDevice implements AsyncDisposable {
  readonly #child: ChildProcess
  #calls = 0

  constructor(start: Start) {
    this.#child = fork(self, [JSON.stringify(start)], { execArgv: process.execArgv })
  }

  id(): Promise<string> {
    return this.#call('id') as Promise<string>
  }

  join(invite: string): Promise<void> {
    return this.#call('join', invite) as Promise<void>
  }

  /** How many spaces it has. */
  spaces(): Promise<number> {
    return this.#call('spaces') as Promise<number>
  }

  write(text: string): Promise<void> {
    return this.#call('write', text) as Promise<void>
  }

  /** Types, and waits for nothing. */
  type(text: string): Promise<void> {
    return this.#call('type', text) as Promise<void>
  }

  /** Resolves once it knows that a copy of its folder runs, and which of both it is. */
  whenCopied(where: 'here' | 'elsewhere'): Promise<void> {
    return this.#call('whenCopied', where) as Promise<void>
  }

  /** Makes a device of its own of it, under that name; its process has nothing open from then on. */
  renew(name: string): Promise<void> {
    return this.#call('renew', name) as Promise<void>
  }

  /** Resolves once the document reads so and the role is that, with what else there is to see. */
  when(expected: {
    text?: string
    role?: string | null
    readOnly?: boolean
    /** Each stands in it once, whatever else does. */
    words?: readonly string[]
  }): Promise<State> {
    return this.#call('when', expected) as Promise<State>
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const ended = this.#ended()
    this.#child.kill('SIGKILL')
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = this.#ended()
    this.#child.disconnect()
    await ended
  }

  #ended(): Promise<unknown> {
    return once(
      (listener: (code: unknown) => void) => {
        this.#child.on('exit', listener)
        return () => this.#child.off('exit', listener)
      },
      callMs,
      'the device ends'
    )
  }

  async #call(method: string, argument?: unknown): Promise<unknown> {
    const id = ++this.#calls
    const answer = deadline(
      new Promise<Answer>((resolve, reject) => {
        const listen = (message: Answer): void => {
          if (message.id !== id) return
          this.#child.off('message', listen)
          resolve(message)
        }
        this.#child.on('message', listen)
        this.#child.once('exit', () => reject(new Error(`The device ended during ${method}`)))
      }),
      callMs,
      `${method} ${JSON.stringify(argument)?.slice(0, 80)}`
    )
    this.#child.send({ id, method, argument })
    const said = await answer
    if ('error' in said) throw new Error(`${method}: ${said.code} ${said.error}`)
    return said.value
  }
}

function listening(doc: Document['doc'], listener: () => void): () => void {
  doc.on('update', listener)
  return () => doc.off('update', listener)
}

/** The first of several things that happen. */
function whenAny(listen: (listener: () => void) => (() => void)[]): {
  changed: Promise<void>
  stop: () => void
} {
  let stops: (() => void)[] = []
  const changed = new Promise<void>((resolve) => {
    stops = listen(resolve)
  })
  return { changed, stop: () => stops.forEach((stop) => stop()) }
}

async function serve({ folder, name, person, bootstrap }: Start): Promise<void> {
  const skein = new Skein({
    storage: folder,
    name,
    ...(person === undefined ? {} : { person }),
    transports: bootstrap === undefined ? [] : [hyperswarm({ bootstrap: [...bootstrap] })]
  })
  await skein.ready()
  const space = (): Space => skein.spaces()[0]!
  const note = (): Promise<Document> => space().open('ideas')
  const state = async (): Promise<State> => {
    let excluded = 0
    for await (const { edit } of space().excluded()) if (edit !== null) excluded++
    let entries = 0
    for await (const { core } of space().history()) if (core !== 'control') entries++
    const { doc, readOnly } = await note()
    const text = doc.getText('body').toString()
    return { text, role: space().role, readOnly, excluded, entries }
  }
  const methods: Record<string, (argument: never) => Promise<unknown>> = {
    id: async () => skein.id,
    join: async (invite: string) => void (await skein.join(invite)),
    spaces: async () => skein.spaces().length,
    write: async (text: string) => {
      const document = await note()
      const body = document.doc.getText('body')
      body.insert(body.length, text)
      await document.saved()
    },
    type: async (text: string) => {
      const { doc } = await note()
      doc.getText('body').insert(doc.getText('body').length, text)
    },
    whenCopied: async (where: string) => {
      while (skein.copied !== where)
        await new Promise<void>((resolve) => void skein.once('copied', () => resolve()))
    },
    renew: (name: string) => skein.becomeOwnDevice({ name }),
    when: async (expected: Parameters<RemoteDevice['when']>[0]) => {
      for (;;) {
        const document = await note()
        const { doc } = document
        const { changed, stop } = whenAny((listener) => [
          ...(['edit', 'members', 'excluded', 'storage'] as const).map((event) =>
            space().on(event, listener)
          ),
          // What an event tells of may reach the document later.
          document.on('reset', listener),
          listening(doc, listener)
        ])
        const now = await state()
        const isRight =
          (expected.text === undefined || now.text === expected.text) &&
          (expected.role === undefined || now.role === expected.role) &&
          (expected.readOnly === undefined || now.readOnly === expected.readOnly) &&
          (expected.words ?? []).every((word) => now.text.split(word).length === 2)
        if (!isRight) await changed
        stop()
        if (isRight) return now
      }
    }
  }
  process.on(
    'message',
    ({ id, method, argument }: { id: number; method: string; argument: never }) => {
      methods[method]!(argument).then(
        (value) => process.send!({ id, value }),
        (error: Error & { code?: string }) =>
          process.send!({ id, error: error.message, code: error.code ?? error.name })
      )
    }
  )
  process.on('disconnect', () => void skein.close().finally(() => process.exit(0)))
}

if (process.argv[1] === self) await serve(JSON.parse(process.argv[2]!) as Start)
