/** `skein doctor`: what of storage, network, clock and versions works here, and what to do where it does not. */
import { exitCodes, defineLocalCommand } from '../command.ts'
import {
  checkClock,
  checkHome,
  checkNetwork,
  checkStorage,
  checkVersions,
  type Finding
} from '../checks.ts'
import { examples } from '../help.ts'
import { duration } from '../words.ts'
import type { HealthAnswer } from './health.ts'
import type { Output } from '../output.ts'

export default defineLocalCommand({
  setUp: (command) =>
    command
      .option('-t, --timeout <time>', 'how long to wait for the network', duration, 5_000)
      .addHelpText(
        'after',
        examples(['skein doctor', 'looks at everything; code 3 if something is wrong'])
      ),
  async run({ settings, out, call, signal }, _, { timeout }) {
    const findings: Finding[] = []
    const tell = (found: Finding): void => {
      findings.push(found)
      out.print(shown(found, out))
    }
    tell(checkVersions(process.versions.node))
    for (const found of await checkStorage(settings.home)) tell(found)
    let health: HealthAnswer | null = null
    if (findings.every(({ topic, level }) => topic !== 'storage' || level !== 'wrong')) {
      try {
        health = (await call('health', [])) as HealthAnswer
        for (const found of checkHome(health, process.pid)) tell(found)
      } catch (error) {
        // What was called has said what is wrong; the rest is looked at all the same.
        tell({
          topic: 'device',
          level: 'wrong',
          text: 'the device cannot be opened',
          advice: error instanceof Error ? error.message : String(error)
        })
      }
    }
    tell(checkClock(Date.now(), health?.latestMs ?? null))
    out.live(() => ['Asking the DHT …'])
    const found = await checkNetwork(settings.bootstrap, timeout, signal)
    out.live(null)
    found.forEach(tell)
    out.emit(findings, () => '')
    return findings.some(({ level }) => level === 'wrong') ? exitCodes.incomplete : exitCodes.done
  }
})

function shown({ topic, level, text, advice }: Finding, { style }: Output): string {
  const mark =
    level === 'fine' ? style.green('✓') : level === 'note' ? style.yellow('!') : style.red('✗')
  const line = `${mark} ${style.bold(topic.padEnd(8))} ${text}`
  return advice === undefined ? line : `${line}\n           ${style.dim('→')} ${advice}`
}
