/** One of the two pages that `webrtc.ts` measures between. Everything here runs in Chromium. */
import { Skein, type Document, type Introduction, type Space } from 'skein'
import { webrtc, type WebRtcTransport } from 'skein/adapters/webrtc'

const chunkBytes = 16 * 1024
/** What is buffered at the most, where nobody else holds the sender back: with more, Chromium is slower. */
const highWater = 256 * 1024

interface Bare {
  readonly connection: RTCPeerConnection
  readonly channel: RTCDataChannel
}

let bare: Bare
let transport: WebRtcTransport
let skein: Skein
let space: Space
let note: Document
let call: Introduction

function begin(): Bare {
  const connection = new RTCPeerConnection()
  const channel = connection.createDataChannel('bench', { negotiated: true, id: 7 })
  channel.binaryType = 'arraybuffer'
  return { connection, channel }
}

/** The description, with all its candidates. */
async function described({ connection }: Bare): Promise<string> {
  if (connection.iceGatheringState !== 'complete') {
    await new Promise<void>((resolve) => {
      connection.onicegatheringstatechange = () =>
        connection.iceGatheringState === 'complete' && resolve()
    })
  }
  return connection.localDescription!.sdp
}

export const webrtcBench = {
  async bareOffer(): Promise<string> {
    bare = begin()
    await bare.connection.setLocalDescription(await bare.connection.createOffer())
    return described(bare)
  },
  async bareAnswer(sdp: string): Promise<string> {
    bare = begin()
    await bare.connection.setRemoteDescription({ type: 'offer', sdp })
    await bare.connection.setLocalDescription(await bare.connection.createAnswer())
    return described(bare)
  },
  async bareComplete(sdp: string): Promise<void> {
    await bare.connection.setRemoteDescription({ type: 'answer', sdp })
    if (bare.channel.readyState !== 'open') {
      await new Promise((resolve) => (bare.channel.onopen = resolve))
    }
  },
  async bareSend(bytes: number): Promise<void> {
    const { channel } = bare
    const chunk = crypto.getRandomValues(new Uint8Array(chunkBytes))
    channel.bufferedAmountLowThreshold = highWater / 2
    for (let sent = 0; sent < bytes; sent += chunkBytes) {
      if (channel.bufferedAmount > highWater) {
        await new Promise((resolve) => (channel.onbufferedamountlow = resolve))
      }
      channel.send(chunk)
    }
  },
  /** From the first byte to the last; milliseconds. */
  bareReceive(bytes: number): Promise<number> {
    return new Promise((resolve) => {
      let received = 0
      let begunAt = 0
      bare.channel.onmessage = ({ data }) => {
        if (received === 0) begunAt = performance.now()
        received += (data as ArrayBuffer).byteLength
        if (received >= bytes) resolve(performance.now() - begunAt)
      }
    })
  },

  async open(name: string): Promise<void> {
    transport = webrtc()
    skein = new Skein({ storage: `bench-${name}`, name, transports: [transport] })
    await skein.ready()
  },
  async create(): Promise<string> {
    space = await skein.createSpace({ name: 'Bench' })
    return space.invite()
  },
  async call(): Promise<string> {
    call = await transport.call()
    return call.text
  },
  answer: (text: string): Promise<string> => transport.answer(text),
  complete: (text: string): Promise<void> => call.complete(text),
  async join(invite: string): Promise<void> {
    space = await skein.join(invite)
  },
  async isolated(): Promise<void> {
    call.close()
    if (space.peers.length > 0) await new Promise((resolve) => space.on('peers', resolve))
  },

  /** Events of so many bytes each, which are not compressible; they stay in the log. */
  async fill(count: number, bytes: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const random = crypto.getRandomValues(new Uint8Array(48 * 1024))
      let text = ''
      while (text.length < bytes) text += btoa(String.fromCharCode(...random.subarray(0, 30_000)))
      await space.append('filler', text.slice(0, bytes))
    }
    await space.saved()
  },
  /** From the first block to the last: bytes of blocks, and milliseconds. */
  received(): Promise<{ bytes: number; ms: number }> {
    return new Promise((resolve) => {
      const before = space.received.bytes
      let begunAt = 0
      const look = setInterval(() => {
        const { bytes } = space.received
        if (bytes > before && begunAt === 0) begunAt = performance.now()
        if (begunAt === 0 || !space.synced) return
        clearInterval(look)
        resolve({ bytes: bytes - before, ms: performance.now() - begunAt })
      }, 1)
    })
  },

  async openNote(): Promise<void> {
    note = await space.open('typed')
    const shown = document.body.appendChild(document.createElement('pre'))
    note.doc.getText('body').observe((event) => {
      const text = event.target.toString()
      shown.textContent = text
    })
  },
  /** Answers each letter of the other, once it is on the screen, with one of its own. */
  echo(): void {
    const body = note.doc.getText('body')
    body.observe((_, { local }) => {
      if (!local) requestAnimationFrame(() => body.insert(body.length, '.'))
    })
  },
  /** Types a letter, and waits for the answer to be on the screen; half of the way there and back, in milliseconds. */
  async type(count: number): Promise<number[]> {
    const body = note.doc.getText('body')
    const times: number[] = []
    for (let i = 0; i < count; i++) {
      const begunAt = performance.now()
      const answered = new Promise<number>((resolve) => {
        const look = (_: unknown, { local }: { local: boolean }): void => {
          if (local) return
          body.unobserve(look)
          requestAnimationFrame(() => resolve(performance.now()))
        }
        body.observe(look)
      })
      body.insert(body.length, 'x')
      times.push(((await answered) - begunAt) / 2)
      await new Promise((resolve) => setTimeout(resolve, 30 + Math.random() * 30))
    }
    return times
  }
}

Object.assign(globalThis, { webrtcBench })
