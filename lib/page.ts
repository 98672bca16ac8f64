/** The public face in a page: the same names, where `Skein` is one device for all tabs of an origin. */
export * from './index.ts'
export { TabSkein as Skein } from './tabs/tab-skein.ts'
