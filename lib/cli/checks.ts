/** The single checks of `skein doctor`: each says what it found and, where that is not well, what to do. */
import { access, constants, open, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { existsSync } from 'node:fs'
import type { HealthAnswer } from './commands/health.ts'
import { deviceFolder } from './settings.ts'
import { ago, counted, listed, size, span } from './words.ts'

export interface Finding {
  readonly topic: 'versions' | 'storage' | 'device' | 'clock' | 'network'
  /** `note`: it works, with a limit. */
  readonly level: 'fine' | 'note' | 'wrong'
  readonly text: string
  readonly advice?: string
}

const leastNode = 20
const littleBytes = 200 * 1024 * 1024
/** Entries from so far ahead mean that one of two clocks is wrong. */
const aheadMs = 5 * 60_000
/** Before this was written. */
const earliestMs = Date.UTC(2025, 0, 1)

export function checkVersions(node: string): Finding {
  const text = `Node ${node} on ${process.platform} ${process.arch}`
  if (Number(node.split('.')[0]) >= leastNode) return { topic: 'versions', level: 'fine', text }
  return { topic: 'versions', level: 'wrong', text, advice: `Install Node ${leastNode} or later.` }
}

export async function checkStorage(home: string): Promise<Finding[]> {
  const topic = 'storage'
  if (!existsSync(deviceFolder(home))) {
    const advice = 'Make one: skein init --name NAME'
    return [{ topic, level: 'wrong', text: `no device in ${home}`, advice }]
  }
  const findings: Finding[] = []
  try {
    await access(home, constants.R_OK | constants.W_OK | constants.X_OK)
    const probe = join(home, 'doctor')
    const file = await open(probe, 'w')
    await file.writeFile('probe')
    await file.sync()
    await file.close()
    await rm(probe)
    findings.push({ topic, level: 'fine', text: `${home} can be written` })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const advice =
      code === 'ENOSPC'
        ? 'Make room on that disk.'
        : 'Give yourself the folder: chown and chmod 700.'
    findings.push({ topic, level: 'wrong', text: `${home} cannot be written (${code})`, advice })
  }
  const { mode, uid } = await stat(home)
  const isOpen = process.platform !== 'win32' && (mode & 0o077) !== 0
  if (isOpen || (process.getuid !== undefined && uid !== process.getuid())) {
    const text = 'others on this machine may look into the home'
    findings.push({ topic, level: 'note', text, advice: `chmod 700 ${home}` })
  }
  const { bavail, bsize } = await statfs(home)
  const free = bavail * bsize
  const isLittle = free < littleBytes
  findings.push({
    topic,
    level: isLittle ? 'note' : 'fine',
    text: `${size(free)} are free on its disk`,
    ...(isLittle ? { advice: 'A full disk keeps edits in memory until there is room.' } : {})
  })
  return findings
}

export function checkHome(health: HealthAnswer, ownPid: number): Finding[] {
  const topic = 'device'
  const { pid, spaces, peers, broken, waiting, isOnline } = health
  const who = pid === ownPid ? 'nothing else uses it' : `process ${pid} serves it`
  const online = isOnline ? `, ${counted(peers, 'device')} connected` : ''
  const opened = `it opens with ${counted(spaces, 'space')}; ${who}${online}`
  const findings: Finding[] = [{ topic, level: 'fine', text: opened }]
  for (const { space, code, message } of broken) {
    const text = `the space ${space.slice(0, 8)} does not open: ${message} (${code})`
    const advice =
      'Do not write to it. Join it anew into another home; the others have what was synced.'
    findings.push({ topic, level: 'wrong', text, advice })
  }
  if (waiting > 0) {
    const text = `${counted(waiting, 'entry waits', 'entries wait')} for others that are not here`
    findings.push({
      topic,
      level: 'note',
      text,
      advice: 'skein sync brings them once a device that has them is met.'
    })
  }
  return findings
}

/** `latestMs`: the latest time that another device's entry bears. */
export function checkClock(nowMs: number, latestMs: number | null): Finding {
  const topic = 'clock'
  const time = new Date(nowMs).toISOString().replace('T', ' ').slice(0, 16)
  const advice =
    'Set the clock (timedatectl set-ntp true): times in the log and expiry of invites hang on it.'
  if (nowMs < earliestMs) {
    return { topic, level: 'wrong', text: `${time} UTC lies before this was made`, advice }
  }
  if (latestMs !== null && latestMs - nowMs > aheadMs) {
    const text = `${time} UTC; another device wrote ${span(latestMs - nowMs)} from now, so one of the two is wrong`
    return { topic, level: 'note', text, advice }
  }
  const newest =
    latestMs === null ? '' : `; the newest entry of another device is of ${ago(latestMs, nowMs)}`
  return { topic, level: 'fine', text: `${time} UTC${newest}` }
}

export async function checkNetwork(
  bootstrap: readonly string[] | null,
  timeoutMs: number,
  signal: AbortSignal
): Promise<Finding[]> {
  const topic = 'network'
  const { probeDht } = await import('skein/adapters/dht')
  const nodes = bootstrap?.map((node) => {
    const [host = '', port] = node.split(':')
    return { host: host === 'localhost' ? '127.0.0.1' : host, port: Number(port) }
  })
  const probe = await probeDht({
    ...(nodes === undefined ? {} : { bootstrap: nodes }),
    timeoutMs,
    signal
  })
  const which = bootstrap === null ? 'the public DHT' : `the DHT at ${listed(bootstrap)}`
  if (!probe.isReached) {
    const advice =
      bootstrap === null
        ? 'Check the connection; UDP must be let out. On a closed network run `skein dht` and use --bootstrap.'
        : 'Is `skein dht` running there, with --host of an address that is reached from here? UDP must get through.'
    return [{ topic, level: 'wrong', text: `${which} does not answer`, advice }]
  }
  const took = `${Math.max(1, Math.round(probe.roundTripMs))} ms`
  const findings: Finding[] = [{ topic, level: 'fine', text: `${which} answers in ${took}` }]
  const { publicAddress, nat } = probe
  if (nat === 'none') {
    const at = publicAddress === null ? '' : ` as ${publicAddress.host}:${publicAddress.port}`
    findings.push({ topic, level: 'fine', text: `others reach this device directly${at}` })
  } else if (nat === 'consistent') {
    const text = 'behind a NAT that lets others in by hole punching'
    findings.push({ topic, level: 'fine', text })
  } else if (nat === 'random') {
    const text = 'behind a NAT that changes ports: two devices behind such do not meet'
    const advice =
      'A third device without one brings them together: run `skein sync` on a server or at home.'
    findings.push({ topic, level: 'note', text, advice })
  } else {
    const text = 'too few nodes answered to tell what NAT this device is behind'
    findings.push({
      topic,
      level: 'note',
      text,
      advice: 'Nothing, if devices meet: skein status shows it.'
    })
  }
  return findings
}
