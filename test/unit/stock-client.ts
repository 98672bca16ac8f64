/**
 * A stock y-webrtc client in a process of its own (y-webrtc has one room of a name in a process), for
 * `signalling.test.ts`. Arguments: the signalling server's address, the room, the text to write. Tells its parent the document's
 * text whenever it changes, and ends with it.
 */
import { WebSocket } from 'ws'
import { WebrtcProvider } from 'y-webrtc'
import * as Y from 'yjs'
import { wrtc } from '../wrtc.ts'

process.on('disconnect', () => process.exit(0))
Object.assign(globalThis, { WebSocket })
const [url = '', room = '', text = ''] = process.argv.slice(2)
const doc = new Y.Doc()
const body = doc.getText('body')
new WebrtcProvider(room, doc, {
  signaling: [url],
  password: 'shared',
  peerOpts: { wrtc, config: { iceServers: [] } }
})
body.insert(0, text)
doc.on('update', () => process.send?.(body.toString()))
