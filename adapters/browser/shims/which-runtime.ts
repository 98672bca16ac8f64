/** `which-runtime` for a page; its own takes any page that has a `process`, as many do, for Node, and throws. */
export const runtime = 'browser'
export const platform = 'unknown'
export const arch = 'unknown'
export const version = 'unknown'
export const isBare = false
export const isBareKit = false
export const isPear = false
export const isNode = false
export const isBrowser = true
export const isWindows = false
export const isLinux = false
export const isMac = false
export const isIOS = false
export const isAndroid = false
export const isElectron = false
export const isElectronRenderer = false
export const isElectronWorker = false
