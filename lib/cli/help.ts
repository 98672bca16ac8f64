/** Parts of help texts that several commands share. */

export const spaceHelp = 'id, beginning of it, or name of the space (default: the only one)'

/** The key is a secret that other users of the machine could see among a command's arguments. */
export const recoveryHelp = 'act as the owner above all others; - reads the key from standard input'

/** Examples below a command's help: what is typed, and what it does. */
export function examples(...lines: [command: string, does: string][]): string {
  const width = Math.max(...lines.map(([command]) => command.length))
  const shown = lines.map(([command, does]) => `  ${command.padEnd(width)}  ${does}`.trimEnd())
  return `\nExamples:\n${shown.join('\n')}`
}
