/**
 * Keeps the page itself, so that it opens with no network; what is in the notebook is kept by Skein. `site` is put before
 * this by the build: every file, and a version that changes with any of them.
 */
/* global site */
const name = `notes-${site.version}`

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches
      .open(name)
      .then((cache) =>
        cache.addAll(site.files.map((file) => new Request(file, { cache: 'reload' })))
      )
      .then(() => self.skipWaiting())
  )
})

self.addEventListener('activate', (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((keys) => keys.filter((key) => key.startsWith('notes-') && key !== name))
      .then((old) => Promise.all(old.map((key) => caches.delete(key))))
      .then(() => self.clients.claim())
  )
})

self.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url)
  if (event.request.method !== 'GET' || url.origin !== location.origin) return
  const wanted = event.request.mode === 'navigate' ? '/' : event.request
  event.respondWith(
    caches
      .open(name)
      .then((cache) => cache.match(wanted, { ignoreVary: true }))
      .then((kept) => kept ?? fetch(event.request))
  )
})
