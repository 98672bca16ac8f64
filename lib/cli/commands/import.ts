/** `skein import`: takes in a bundle that `skein export` has made. */
import { createReadStream } from 'node:fs'
import { defineCommand } from '../command.ts'
import { examples } from '../help.ts'
import { counted, shortId } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command.argument('<file>', 'the bundle').addHelpText(
      'after',
      `
Each block is verified as another device's is before it is kept. A bundle that was changed or cut short is refused, and
the place named; what came before that place stays, and importing again goes on from there.
${examples(['skein import notes.skein', 'of a space that this device is in, or is let into by it'])}`
    ),
  async run({ home, out, path, signal }, [file]) {
    const { space, isNew, blocks, logs, strangers } = await home.skein
      .import(createReadStream(path(file)), {
        signal,
        onProgress: ({ blocks: done, totalBlocks }) =>
          out.live(() => [`${done.toLocaleString('en')} of ${counted(totalBlocks, 'block')}`])
      })
      .finally(() => out.live(null))
    out.emit({ space: space.id, name: space.name, isNew, blocks, logs }, () => '')
    for (const { device } of strangers) {
      out.warn(`${shortId(device)} is no member: nothing of its log was kept`)
    }
    const what = blocks === 0 ? 'everything was here' : `${counted(blocks, 'block')} new`
    out.note(isNew ? `Joined the space ${space.name}: ${what}` : `${space.name}: ${what}`)
  }
})
