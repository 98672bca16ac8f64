/** What `sodium-universal` and `sodium-native` are in a page, for those who `require` it and those who `import` it. */
import * as sodium from './sodium.ts'
export * from './sodium.ts'
export default sodium
