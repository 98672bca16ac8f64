/**
 * `quickbit-universal` in a page, where its index over a bitfield is made in JavaScript. Hypercore makes one for each two
 * million blocks that a log may have, twice when it opens it, and theirs looks at all of them. This one looks at those
 * that are there.
 */
import quickbit from 'quickbit-universal/fallback'

const chunkBits = 128
const chunkWords = chunkBits / 32
const groupChunks = 128
/** In the index: a bit for each group of chunks, then one for each chunk; a first half says where all bits are 0, … */
const firstChunk = 128

class FieldIndex extends quickbit.Index {
  readonly field: Uint32Array

  constructor(field: Uint32Array, byteLength: number) {
    super(byteLength)
    this.field = field
    this.handle.fill(0xffff_ffff, 0, this.handle.length / 2)
    for (let word = 0; word < field.length; word++) {
      if (field[word] === 0) continue
      this.update(word * 32)
      word |= chunkWords - 1
    }
  }

  /** The bit has changed. True if the index has, too. */
  update(bit: number): boolean {
    const chunk = Math.floor(bit / chunkBits)
    const words = this.field.subarray(chunk * chunkWords, (chunk + 1) * chunkWords)
    const isThere = words.length === chunkWords
    const changesZeros = this.#set(0, chunk, !isThere || words.every((word) => word === 0))
    const changesOnes = this.#set(1, chunk, isThere && words.every((word) => word === 0xffff_ffff))
    return changesZeros || changesOnes
  }

  /** … and a second where all are 1. */
  #set(half: 0 | 1, chunk: number, value: boolean): boolean {
    const index = this.handle.subarray(
      (half * this.handle.length) / 2,
      ((half + 1) * this.handle.length) / 2
    )
    if (!quickbit.set(index, firstChunk + chunk, value)) return false
    const group = Math.floor(chunk / groupChunks)
    const word = (firstChunk + group * groupChunks) / 32
    const isWhole = index.subarray(word, word + 4).every((bits) => bits === 0xffff_ffff)
    quickbit.set(index, group, isWhole)
    return true
  }
}

export const { get, set, fill, clear, findFirst, findLast } = quickbit

export const Index = {
  /** Of a field; what is known of a peer's comes in chunks, and has the package's own. */
  from(field: Parameters<typeof quickbit.Index.from>[0], byteLength: number) {
    if (Array.isArray(field)) return quickbit.Index.from(field, byteLength)
    return new FieldIndex(field, byteLength)
  }
}
