/** Answers the names of spaces and documents, for completion. */
import { defineCommand } from '../command.ts'

export interface NamesAnswer {
  readonly spaces: readonly { readonly name: string; readonly documents: readonly string[] }[]
}

export default defineCommand({
  setUp: (command) => command,
  run({ home, out }) {
    const answer: NamesAnswer = {
      spaces: home.skein
        .spaces()
        .map((space) => ({ name: space.name, documents: space.documents().sort() }))
    }
    out.answer(answer)
    return Promise.resolve()
  }
})
