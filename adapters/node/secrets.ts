/** The secrets file: readable by its owner alone, replaced as a whole. */
import { dirname } from 'node:path'
import { replace, type Disk } from './disk.ts'

export async function readSecrets(disk: Disk, path: string): Promise<Uint8Array | null> {
  const file = await disk.open(path)
  if (file === null) return null
  try {
    return await file.read()
  } finally {
    await file.close()
  }
}

export async function writeSecrets(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const file = await replace(disk, path, bytes)
  await file.close()
  await disk.sync(dirname(path))
}
