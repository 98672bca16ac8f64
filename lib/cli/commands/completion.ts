/** `skein completion`: a script by which a shell completes commands, options, spaces and documents. */
import { Argument } from '@commander-js/extra-typings'
import { defineLocalCommand } from '../command.ts'
import { examples } from '../help.ts'

const shells = ['bash', 'zsh', 'fish'] as const

export default defineLocalCommand({
  setUp: (command) =>
    command
      .addArgument(new Argument('<shell>', 'the shell').choices(shells))
      .addHelpText(
        'after',
        examples(
          ['source <(skein completion bash)', 'in ~/.bashrc'],
          ['source <(skein completion zsh)', 'in ~/.zshrc'],
          ['skein completion fish > ~/.config/fish/completions/skein.fish', 'once']
        )
      ),
  async run({ out }, [shell]) {
    const { script } = await import('@bomb.sh/tab')
    const { printed } = await import('../printed.ts')
    out.print(printed(() => script(shell, 'skein', 'skein')))
  }
})
