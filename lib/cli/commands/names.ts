/** Answers the names of spaces and documents, for completion. */
import { defineCommand } from '../command.ts'
import { DocumentNames } from '../document-names.ts'

export interface NamesAnswer {
  readonly spaces: readonly { readonly name: string; readonly documents: readonly string[] }[]
}

export default defineCommand({
  setUp: (command) => command,
  async run({ home, out }) {
    const spaces: NamesAnswer['spaces'][number][] = []
    for (const space of home.skein.spaces()) {
      const names = await DocumentNames.of(home, space)
      const documents = space.documents().map((name) => names.nameOf(name))
      spaces.push({ name: space.name, documents: documents.sort() })
    }
    out.answer({ spaces })
  }
})
