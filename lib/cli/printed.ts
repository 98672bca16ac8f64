/** For a library that can only print to the console: what it printed, as text. */

export function printed(work: () => void): string {
  const lines: string[] = []
  const { log } = console
  console.log = (...parts: unknown[]) => void lines.push(parts.map(String).join(' '))
  try {
    work()
  } finally {
    console.log = log
  }
  return lines.join('\n')
}
