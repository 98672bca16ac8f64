// What the pages of these tests put into their global scope for them.
declare var skeinPage: typeof import('./page.ts').skeinPage
declare var storagePage: typeof import('./storage-page.ts').storagePage
declare var webrtcPage: typeof import('./webrtc-page.ts').webrtcPage
declare var tracePage: typeof import('./trace-page.ts').tracePage
