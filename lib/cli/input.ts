/** Reads standard input whole. */
import { Failure } from './exit.ts'

/** Fails with a `Failure` for what is not UTF-8, rather than keep what only looks like it. */
export async function readText(input: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let text = ''
  try {
    for await (const chunk of input) text += decoder.decode(chunk, { stream: true })
    return text + decoder.decode()
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new Failure('Standard input is not text in UTF-8', {
      advice: 'Documents hold text. Convert it first, with iconv for instance.',
      cause: error
    })
  }
}

/** As which owner: the recovery key that was given, or for `-` that of standard input; none without one. */
export async function recoveryFrom(
  given: string | undefined,
  input: AsyncIterable<Uint8Array>
): Promise<{ recoveryKey?: string }> {
  if (given === undefined) return {}
  return { recoveryKey: given === '-' ? (await readText(input)).trim() : given }
}
