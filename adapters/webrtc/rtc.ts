/** What is used of WebRTC: the page's own, or a Node engine with the same interface (`@roamhq/wrtc`, node-datachannel's polyfill). */

export interface RtcEngine {
  readonly RTCPeerConnection: new (configuration: object) => RtcPeerConnection
  readonly RTCSessionDescription: new (description: RtcDescription) => RtcDescription
  readonly RTCIceCandidate: new (candidate: object) => object
}

export interface RtcDescription {
  readonly type: string
  readonly sdp: string
}

export interface RtcPeerConnection {
  readonly iceGatheringState: string
  readonly connectionState: string
  readonly localDescription: RtcDescription | null
  readonly remoteDescription: RtcDescription | null
  createDataChannel(label: string, options: { negotiated: boolean; id: number }): RtcDataChannel
  createOffer(): Promise<RtcDescription>
  createAnswer(): Promise<RtcDescription>
  setLocalDescription(description: RtcDescription): Promise<void>
  setRemoteDescription(description: RtcDescription): Promise<void>
  addEventListener(
    event: 'icegatheringstatechange' | 'connectionstatechange',
    listener: () => void
  ): void
  close(): void
}

export interface RtcDataChannel {
  binaryType: string
  readonly readyState: string
  send(message: Uint8Array | string): void
  close(): void
  addEventListener(event: 'open' | 'close' | 'error', listener: () => void): void
  addEventListener(event: 'message', listener: (event: { readonly data: unknown }) => void): void
}

export interface IceServer {
  readonly urls: string | readonly string[]
  readonly username?: string
  readonly credential?: string
}

/** The page's, where none is given; null where there is none. */
export function engineOr(given: object | undefined): RtcEngine | null {
  const engine = (given ?? globalThis) as Partial<RtcEngine>
  return engine.RTCPeerConnection === undefined ? null : (engine as RtcEngine)
}
