/** The page's own WebSocket in place of the package ws, as far as `adapters/websocket` uses it. */
export class WebSocket extends globalThis.WebSocket {
  /** ws's options mean nothing here. */
  constructor(url: string, protocols?: string[], _options?: object) {
    super(url, protocols)
  }
}

export class WebSocketServer {
  constructor() {
    throw new TypeError('A page cannot listen: listen() is for Node')
  }
}
