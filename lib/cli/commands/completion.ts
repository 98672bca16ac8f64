/** `skein completion`: a script by which a shell completes commands, options, spaces and documents. */
import { Argument } from '@commander-js/extra-typings'
import { defineLocalCommand } from '../command.ts'
import { examples } from '../help.ts'

const shells = ['bash', 'zsh', 'fish'] as const

/** The script for bash calls this part of the package bash-completion, which not every system has. */
const bashPrelude = `if ! declare -F _get_comp_words_by_ref > /dev/null; then
    _get_comp_words_by_ref() {
        words=("\${COMP_WORDS[@]}")
        cword=$COMP_CWORD
        cur=\${words[cword]}
        prev=\${words[cword - 1]}
    }
fi
`

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
    if (shell === 'bash') out.print(bashPrelude)
    out.print(printed(() => script(shell, 'skein', 'skein')))
  }
})
