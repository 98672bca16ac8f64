/** What a shell asks while the user presses Tab: `skein complete -- the words so far`. */
import { existsSync } from 'node:fs'
import { RootCommand, type ArgumentHandler, type Complete, type OptionHandler } from '@bomb.sh/tab'
import { Command } from 'commander'
import type { Command as TypedCommand } from '@commander-js/extra-typings'
import { defineLocalCommand } from '../command.ts'
import { globalOptions } from '../flags.ts'
import { printed } from '../printed.ts'
import { deviceFolder } from '../settings.ts'
import type { NamesAnswer } from './names.ts'

export default defineLocalCommand({
  setUp: (command) => command.argument('[words...]'),
  async run({ out, call, commands, settings }, [words]) {
    const root = new RootCommand()
    const visible = commands.filter(({ summary }) => summary !== '')
    const typed = words.slice(0, -1)
    // Only what the words name is loaded, and the home only asked where a name of its own may stand.
    const meant = visible.find(({ name }) => typed.includes(name))
    let names: NamesAnswer = { spaces: [] }
    if (meant !== undefined) {
      const command = new Command(meant.name)
      const { setUp } = (await meant.load()).default
      setUp(command as unknown as TypedCommand)
      const wantsNames =
        command.registeredArguments.some((argument) =>
          ['document', 'space'].includes(argument.name())
        ) || command.options.some(({ long }) => long === '--space')
      // No home, or none that answers: then there are no names to offer.
      if (wantsNames && existsSync(deviceFolder(settings.home)))
        names = ((await call('names', []).catch(() => names)) ?? names) as NamesAnswer
      const own = root.command(meant.name, meant.summary)
      for (const argument of command.registeredArguments) {
        own.argument(
          argument.name(),
          offering(names, argument.name(), argument.argChoices),
          argument.variadic
        )
      }
      const options = [...command.options, ...globalOptions()]
      for (const { long, short, description, argChoices, required, optional } of options) {
        if (long == null) continue
        const alias = short?.slice(1)
        const name = long.slice(2)
        if (!required && !optional) own.option(name, description, alias)
        else own.option(name, description, offering(names, name, argChoices), alias)
      }
    }
    for (const { name, summary } of visible) if (name !== meant?.name) root.command(name, summary)
    out.print(printed(() => root.parse([...words])))
  }
})

/** Offers the names that an argument or option takes. */
function offering(
  { spaces }: NamesAnswer,
  name: string,
  choices: readonly string[] | undefined
): ArgumentHandler & OptionHandler {
  return (complete: Complete) => {
    for (const choice of choices ?? []) complete(choice, '')
    for (const space of spaces) {
      if (name === 'space') complete(space.name, 'space')
      if (name === 'document') {
        for (const document of space.documents) complete(document, space.name)
      }
    }
  }
}
