/**
 * `setImmediate` for a page: the next turn of its event loop. By a MessageChannel, since browsers hold timers of hidden
 * tabs back for seconds. The browser build puts it wherever hypercore and its relatives ask for it.
 */
export interface Immediate {
  run: (() => void) | null
}

const waiting: Immediate[] = []
let port: MessagePort | null = null

export function setImmediate(
  callback: (...args: unknown[]) => void,
  ...args: unknown[]
): Immediate {
  port ??= open()
  const immediate = { run: () => callback(...args) }
  waiting.push(immediate)
  port.postMessage(null)
  return immediate
}

export function clearImmediate(immediate: Immediate | null | undefined): void {
  if (immediate) immediate.run = null
}

function open(): MessagePort {
  const { port1, port2 } = new MessageChannel()
  port1.onmessage = () => waiting.shift()?.run?.()
  return port2
}
