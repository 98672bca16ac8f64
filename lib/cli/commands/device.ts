/** Opens the device of this home, making it where `init` has just prepared it, and answers who it is. */
import { defineCommand } from '../command.ts'

export default defineCommand({
  setUp: (command) => command,
  run({ home, out }) {
    out.answer({ id: home.skein.id, name: home.skein.name })
    return Promise.resolve()
  }
})
