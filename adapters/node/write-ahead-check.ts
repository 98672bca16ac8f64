/**
 * Checks RocksDB's write-ahead files record by record. RocksDB itself reads them up to the first bad record and goes on
 * as if there were no more, since a power loss leaves them so: a flipped bit then takes everything behind it along, and
 * nobody is told. The format (https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format), integers
 * little-endian, in blocks of 32 KiB:
 *
 *     record    := uint32(checksum) • uint16(length) • uint8(type) • byte{length}
 *     checksum  := CRC-32C of type and payload, masked
 *
 * Types 5 to 8 and 11 have the file's number behind the type, which the checksum covers. What is left of a block that
 * takes no header is zeros.
 */
const blockBytes = 32_768
const headerBytes = 7
const numberBytes = 4
const recyclable: ReadonlySet<number> = new Set([5, 6, 7, 8, 11, 131])

/** Where the first bad record begins, or null. */
export function firstBadRecord(
  file: Uint8Array
): { readonly at: number; readonly why: string } | null {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  let at = 0
  while (at < file.length) {
    const left = blockBytes - (at % blockBytes)
    if (left < headerBytes) {
      at += left
      continue
    }
    if (at + headerBytes > file.length) return { at, why: 'ends in the middle of a record' }
    const length = view.getUint16(at + 4, true)
    const type = view.getUint8(at + 6)
    // Room set aside and not written yet.
    if (type === 0 && length === 0 && isZero(file.subarray(at))) return null
    const header = headerBytes + (recyclable.has(type) ? numberBytes : 0)
    if (header + length > left) return { at, why: 'has a record whose length cannot be right' }
    const end = at + header + length
    if (end > file.length) return { at, why: 'ends in the middle of a record' }
    if (unmasked(view.getUint32(at, true)) !== crc32c(file.subarray(at + 6, end))) {
      return { at, why: 'has a record whose checksum is wrong' }
    }
    at = end
  }
  return null
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}

function unmasked(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0
  return ((rotated >>> 17) | (rotated << 15)) >>> 0
}

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 255]!
  return (crc ^ 0xffffffff) >>> 0
}
