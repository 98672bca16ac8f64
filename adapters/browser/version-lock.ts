/**
 * A lock for pages that have no Web Locks, those over plain http: a database of no content, held open. Whoever asks for a
 * higher version of it waits until all who hold it open have closed it, or are gone, and the browser sees to that.
 */

/** Runs `task` once nobody else holds the lock, and holds it until its promise is settled. */
export async function holdVersion(name: string, task: () => Promise<void>): Promise<void> {
  for (;;) {
    const { isUpgraded, database } = await open(name, (await currentVersion(name)) + 1)
    // Another asked for the same version, and was quicker.
    if (!isUpgraded) {
      database.close()
      continue
    }
    try {
      // It is not closed for those who wait: that is what they wait for.
      await task()
    } finally {
      database.close()
    }
    return
  }
}

async function currentVersion(name: string): Promise<number> {
  const { database } = await open(name, undefined)
  const { version } = database
  database.close()
  return version
}

function open(
  name: string,
  version: number | undefined
): Promise<{ isUpgraded: boolean; database: IDBDatabase }> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, version)
    let isUpgraded = false
    request.onupgradeneeded = () => {
      isUpgraded = true
    }
    request.onsuccess = () => resolve({ isUpgraded, database: request.result })
    request.onerror = () => {
      // Somebody was quicker by more than one.
      if (request.error?.name === 'VersionError') resolve(open(name, undefined))
      else reject(request.error ?? new Error('The database could not be opened'))
    }
  })
}
