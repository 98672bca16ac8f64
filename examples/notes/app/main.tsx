/** The page: puts it on the screen, and keeps it for when there is no network. */
import { render } from 'preact'
import { start } from './state.ts'
import { followTheme } from './theme.ts'
import { App } from './ui/app.tsx'

followTheme()
render(<App />, document.getElementById('app')!)
await start()
// Over plain http to another machine there is none: then the page opens only while its server can be reached.
await navigator.serviceWorker?.register('/service-worker.js', { type: 'classic' })
